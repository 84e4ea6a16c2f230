"""Where scripts find this package, although they run in processes of their own."""

import os
from collections.abc import MutableMapping
from pathlib import Path


def add_to_python_path(environment: MutableMapping[str, str], folder: Path) -> None:
    """Put a folder first among those from which Python processes with this environment import."""
    given = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([str(folder), *given]))
