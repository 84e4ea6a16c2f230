"""Previews of a large run, in a folder beside its page.

A page that was opened as a file may not read other files, but it may load scripts and pictures. So ten micrographs at a
time are a script that gives their pictures and candidates to the page (parts.js), and each thumbnail is a picture.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PER_PART = 10
# what the page knows of a micrograph before it loads its part
FACTS = ("name", "part", "width", "height", "grid", "full_shape", "diameter")


def write_run_data(data: Mapping[str, Any], path: str | Path, *, previews: str | Path | None) -> None:
    """Write the data of a run's page.

    Parameters
    ----------
    data : mapping
        Data of the page, with all previews.
    path : path
        JSON file of the data.
    previews : path or None
        Folder for the previews of a large run; None leaves them in the data.
    """
    written = data if previews is None else detach_previews(data, Path(previews))
    Path(path).write_text(json.dumps(written, allow_nan=False))


def detach_previews(data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write previews to a folder, and return the data of the page without them.

    Parameters
    ----------
    data : mapping
        Data of the page: `sheet` with thumbnails, and `viewer` with micrographs.
    folder : path
        New folder of the previews.
    """
    folder.mkdir(parents=True, exist_ok=True)
    views = data["viewer"]["micrographs"]
    previews = {"folder": folder.name, "per_part": PER_PART, "key": _write_parts(views, folder)}
    known = [{key: view[key] for key in FACTS} for view in views]
    sheet = [one | {"thumbnail": _write_thumbnail(one, folder / f"{i:05d}.jpg")} for i, one in enumerate(data["sheet"])]
    return dict(data) | {"sheet": sheet, "viewer": data["viewer"] | {"micrographs": known, "previews": previews}}


def _write_parts(views: list[dict[str, Any]], folder: Path) -> str:
    """Write the scripts; return the digest of all, by which the page knows its own."""
    later = [{key: value for key, value in view.items() if key not in FACTS} for view in views]
    parts = [json.dumps(later[i : i + PER_PART], allow_nan=False) for i in range(0, len(later), PER_PART)]
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode())
    digest = whole.hexdigest()[:16]
    for number, part in enumerate(parts):
        (folder / f"{number:04d}.js").write_text(f'crisp.addPart("{digest}", {number}, {part});\n')
    return digest


def _write_thumbnail(one: Mapping[str, Any], path: Path) -> str:
    """Write a thumbnail of the contact sheet; return its place as seen from the page."""
    path.write_bytes(base64.b64decode(one["thumbnail"].partition(",")[2]))
    return f"{path.parent.name}/{path.name}"
