"""Finder, threshold and calibration of a run: `centers.yaml` of a network, `threshold.yaml` of another picker."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def read_centers(path: str | Path) -> dict[str, Any]:
    """Read a file of `write_centers`."""
    centers: dict[str, Any] = yaml.safe_load(Path(path).read_text())
    return centers


def write_centers(path: str | Path, centers: Mapping[str, Any]) -> None:
    """Write finder, threshold and more, in the given order."""
    Path(path).write_text(yaml.safe_dump(dict(centers), sort_keys=False))
