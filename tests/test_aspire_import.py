import logging.config
import subprocess
import sys
from pathlib import Path

import pytest

from crisp_core.simulation.volumes import phantom


@pytest.fixture(scope="module")
def particle():
    return phantom(180 / 7.08, seed=1)


@pytest.mark.slow
def test_importing_aspire_leaves_log_hook_and_working_directory_alone(tmp_path):
    code = """
import logging, os, sys
logging.basicConfig(filename="mine.log", filemode="w", level=logging.INFO)
log, hook = logging.getLogger("crisp"), sys.excepthook
from crisp_core.simulation.volumes import phantom
phantom(12.0, seed=0)
log.info("still here")
assert sys.excepthook is hook and not log.disabled and "ASPIREDIR" not in os.environ
"""
    root = Path(__file__).parents[1]
    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{code}"], cwd=tmp_path, check=True
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.log"]
    assert (tmp_path / "mine.log").read_text() == "INFO:crisp:still here\n"


def test_logging_of_this_process_survives_aspire(particle):
    assert logging.config.fileConfig.__module__ == "logging.config"
