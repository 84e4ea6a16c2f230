"""Stems: the names of micrographs without folders and file suffixes."""

import re
from collections import Counter
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
    """Stem of each name of a file; names with one stem in different folders stay whole, as different micrographs."""
    stems = {name: micrograph_stem(name) for name in names}
    n_names = Counter(stems.values())
    return [stems[name] if n_names[stems[name]] == 1 else name for name in names]


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
