"""Importing ASPIRE without its side effects."""

import contextlib
import logging.config
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def quiet_aspire() -> Iterator[None]:
    """Let `import aspire` inside the block leave the working directory, the logging and the exception hook alone.

    On import ASPIRE makes a folder for its logs in the working directory, closes and replaces all log handlers and sets
    `sys.excepthook`. Here it gets a temporary folder with its settings, and what it replaces is put back.
    """
    if "aspire" in sys.modules:
        yield
        return
    directory, hook, configure = os.environ.get("ASPIREDIR"), sys.excepthook, logging.config.fileConfig
    with tempfile.TemporaryDirectory() as folder:
        settings = f"{{log_dir: '{folder}', log_exceptions: 0, tqdm_disable: true}}"
        (Path(folder) / "config.yaml").write_text(f"logging: {settings}\n", encoding="utf-8")
        try:
            os.environ["ASPIREDIR"] = folder
            logging.config.fileConfig = lambda *_, **__: None
            yield
        finally:
            logging.config.fileConfig, sys.excepthook = configure, hook
            os.environ.pop("ASPIREDIR")
            if directory is not None:
                os.environ["ASPIREDIR"] = directory
    logging.getLogger("aspire").setLevel(logging.WARNING)
