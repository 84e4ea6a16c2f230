"""Stems: the names of micrographs without folders and file suffixes."""

import re
from collections.abc import Iterable, Mapping, Sequence

from crisp_core.errors import UserError

FILE_SUFFIXES = tuple(
    ".mrc .mrcs .map .tif .tiff .eer .png .jpg .jpeg .h5 .hdf5 .gz .bz2".split()
    + ".star .box .cbox .csv .tsv .txt .json .cs".split()
)


def micrograph_stem(name: str) -> str:
    """Name without folders and known file suffixes; other dots belong to the stem (`May08_04.33.57`)."""
    stem = re.split(r"[/\\]", str(name))[-1]
    while stem.lower().endswith(FILE_SUFFIXES):
        stem = stem[: stem.rindex(".")]
    return stem


def distinct_stems(names: Sequence[str]) -> list[str]:
    """Stem of each name of a file; names with one stem in different folders stay whole, as different micrographs.

    Another suffix, no folder, or the same folder with its absolute path (`a`, `raw/a.mrc`, `/data/raw/a.tif`) is no
    difference.
    """
    different = list(dict.fromkeys(names))
    stems = {name: micrograph_stem(name) for name in different}
    folders: dict[str, set[str]] = {}
    for name in different:
        folders.setdefault(stems[name], set()).add(_folder(name))
    is_one = {stem: _agree(found - {""}) for stem, found in folders.items()}
    return [stems[name] if is_one[stems[name]] else name for name in names]


def _folder(name: str) -> str:
    *parts, _ = re.split(r"[/\\]", str(name))
    root = "/" if parts and not parts[0] else ""
    return root + "/".join(part for part in parts if part not in ("", "."))


def _agree(folders: set[str]) -> bool:
    """Whether folders are one: at most one relative and one absolute path, which ends with the relative one."""
    absolute = [folder for folder in folders if folder.startswith("/") or ":" in folder]
    relative = [folder for folder in folders if folder not in absolute]
    if len(absolute) > 1 or len(relative) > 1:
        return False
    return not (absolute and relative) or f"/{absolute[0]}".endswith(f"/{relative[0]}")


def paths_of_stems(stems: Iterable[str], micrograph_paths: Mapping[str, str]) -> list[str]:
    """Path of each micrograph, in the order of `stems`; `micrograph_paths` has the paths by stem.

    Raises
    ------
    UserError
        If a micrograph has no path.
    """
    stems = list(stems)
    missing = set(stems) - set(micrograph_paths)
    if missing:
        raise UserError(
            f"micrograph {min(missing)}: its path is unknown; check that the dataset's micrographs.tsv lists it"
        )
    return [str(micrograph_paths[stem]) for stem in stems]
