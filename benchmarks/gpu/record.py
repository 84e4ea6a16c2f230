"""The two files that a run leaves: gpu.json and gpu.txt, complete after every number.

One process writes at a time: a part while it runs, the driver before and after.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# What a number should reach, by "part: number".
TARGETS = {
    "prediction: working/as_the_workflow_per_s": "at least 50",
    "prediction: native/as_the_workflow_per_s": "at least 5",
    "crf: logits, grid, published/forward_ms": "at most 5",
    "crf: intensity, grid, mean field/forward_ms": "at most 5",
    "paper: iou": "published .9233",
    "paper: recall": "published .9569",
    "paper: f1": "published .9601",
    "paper: seconds_of_50_epochs": "at most 300",
}


def read_record(folder: Path) -> dict[str, Any]:
    """Return the numbers so far: machine, and of every part its status and numbers; empty before the first."""
    path = folder / "gpu.json"
    return json.loads(path.read_text()) if path.exists() else {"machine": {}, "parts": {}}


def add_numbers(folder: Path, part: str, numbers: Mapping[str, Any]) -> None:
    """Write numbers of a part, a name with its unit each, into both files."""
    record = read_record(folder)
    _entry(record, part)["numbers"].update(numbers)
    _write(folder, record)


def set_status(folder: Path, part: str, status: str) -> None:
    """Write how far a part is into both files."""
    record = read_record(folder)
    _entry(record, part)["status"] = status
    _write(folder, record)


def set_machine(folder: Path, machine: Mapping[str, Any]) -> None:
    """Write what the numbers were measured on into both files."""
    _write(folder, read_record(folder) | {"machine": dict(machine)})


def _entry(record: dict[str, Any], part: str) -> dict[str, Any]:
    return record["parts"].setdefault(part, {"status": "", "numbers": {}})


def _write(folder: Path, record: Mapping[str, Any]) -> None:
    for name, text in (("gpu.json", json.dumps(record, indent=1) + "\n"), ("gpu.txt", as_text(record))):
        new = folder / f".{name}.new"
        new.write_text(text)
        # an interrupted write leaves the previous file intact
        os.replace(new, folder / name)


def as_text(record: Mapping[str, Any]) -> str:
    """Lines for people: the machine, then every part with its numbers and what they should reach."""
    lines = [", ".join(f"{key} {value}" for key, value in record["machine"].items())]
    for part, entry in record["parts"].items():
        lines += ["", f"{part}: {entry['status']}"]
        for name, value in entry["numbers"].items():
            target = TARGETS.get(f"{part}: {name}")
            shown = f"{value:.4g}" if isinstance(value, float) else value
            lines.append(f"  {name:<66} {shown}" + (f"  ({target})" if target else ""))
    return "\n".join(lines) + "\n"
