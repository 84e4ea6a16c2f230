"""Matching the names in coordinate and CTF files with the names of micrographs."""

import logging
import re
import unicodedata
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from functools import cache
from heapq import nlargest
from itertools import takewhile
from pathlib import Path

import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.stems import distinct_stems, micrograph_stem

log = logging.getLogger("crisp")
# Ends that programs add to the name of a micrograph's file of picks.
PICK_ENDING = re.compile(r"_((auto|manual)picks?|info)$")
# Prefix that cryoSPARC adds to imported files.
CRYOSPARC_UID = re.compile(r"^\d{21}_")


def stem_of_picks(file_name: str) -> str:
    """Stem of the micrograph to which a file of picks belongs by its name (`m1_autopick.star`: m1)."""
    return PICK_ENDING.sub("", micrograph_stem(file_name))


def match_names(names: Sequence[str], micrographs: Sequence[str], *, required: bool = True) -> pd.DataFrame:
    """Find the micrograph of each name.

    Ignored on both sides are folders and file suffixes, `_autopick`, `_manualpick` and `_info`, cryoSPARC's prefix of
    21 digits, and whether an accented letter is one Unicode character or two. An equal name takes precedence; a name
    that could mean several micrographs matches none.

    Parameters
    ----------
    names : sequence of str
        Names in coordinate or CTF files.
    micrographs : sequence of str
        Stems or paths of the dataset's micrographs.
    required : bool
        Whether at least one name must match.

    Returns
    -------
    pd.DataFrame
        Columns name and micrograph, one row per name; micrograph is an empty string where nothing matches.

    Raises
    ------
    UserError
        If a match is required and none of the names matches.
    """
    exact = _unique(micrographs, micrograph_stem)
    unique = _unique(micrographs, _name_key)
    found = [exact.get(micrograph_stem(name), unique.get(_name_key(name), "")) for name in names]
    if required and len(names) and not any(found):
        example = f"'{nearest_name(names[0], micrographs)}'" if len(micrographs) else "(none)"
        raise UserError(
            f"none of {len(names)} names matches a micrograph: '{names[0]}' …, while micrographs are called "
            f"{example} …; rename the files, so that the names before the suffix agree"
        )
    return pd.DataFrame({"name": pd.Series(list(names), dtype="str"), "micrograph": pd.Series(found, dtype="str")})


def matched_column(
    names: pd.Series, micrographs: Sequence[str], *, source: str | Path, skip_doubtful: bool = False
) -> pd.Series:
    """Micrograph of each row of a column of names, an empty string where nothing matches; as `match_names`.

    Parameters
    ----------
    names : Series of str
        Names in a file, repeated ones too.
    micrographs : sequence of str
        Stems or paths of the dataset's micrographs.
    source : str or Path
        The file, for the message.
    skip_doubtful : bool
        Leave out the rows of names of which several match one micrograph, as those of two grids do, and log it.

    Raises
    ------
    UserError
        As `match_names` does, and for names of which several match one micrograph, if these are not left out or if
        no others match.
    """
    names = pd.Series(distinct_stems(names.tolist()), index=names.index, dtype="str")
    try:
        matched = match_names(names.unique().tolist(), micrographs)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    doubtful = names_of_one_micrograph(matched)
    for micrograph, several in doubtful.items():
        line = f"{source}: {several} both match micrograph {micrograph}; remove the rows of one"
        if not skip_doubtful or doubtful.keys() == set(matched["micrograph"]) - {""}:
            raise UserError(line)
        log.warning("%s; until then, both are left out", line)
    matched.loc[matched["micrograph"].isin(list(doubtful)), "micrograph"] = ""
    return names.map(matched.set_index("name")["micrograph"])


def names_of_one_micrograph(matched: pd.DataFrame) -> dict[str, str]:
    """Two of the names that match a micrograph, as text by micrograph, for each that several match.

    Parameters
    ----------
    matched : DataFrame
        Columns name and micrograph, as `match_names` returns them.
    """
    found = matched[matched["micrograph"] != ""]
    repeated = found[found["micrograph"].duplicated(keep=False)].groupby("micrograph")["name"]
    return {str(micrograph): " and ".join(names.head(2)) for micrograph, names in repeated}


def nearest_name(name: str, micrographs: Sequence[str]) -> str:
    """Micrograph with the name most similar to a name that matches none; case is ignored.

    Names of a dataset often differ in a running number only. So a name that continues the other after a letter or
    digit (`m7_DW`, `m7`) precedes a name with an equally long common start (`m8`).

    Parameters
    ----------
    name : str
        Name in a coordinate or CTF file.
    micrographs : sequence of str
        Stems or paths of the dataset's micrographs, at least one.
    """
    key = _name_key(name).lower()

    def common_start(micrograph: str) -> tuple[bool, int]:
        """Whether one name continues the other, and length of their common start."""
        short, long = sorted((key, _name_key(micrograph).lower()), key=len)
        continued = long.startswith(short) and not long[len(short) : len(short) + 1].isalnum()
        return continued, sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(short, long, strict=False)))

    # the full comparison is slow
    likely = nlargest(20, micrographs, key=common_start)
    return max(likely, key=lambda m: (common_start(m), SequenceMatcher(None, key, _name_key(m).lower()).ratio()))


def _unique(micrographs: Sequence[str], key: Callable[[str], str]) -> dict[str, str]:
    """Micrographs by a key that only one of them has."""
    different = list(dict.fromkeys(micrographs))
    keyed = pd.Series(different, index=[key(micrograph) for micrograph in different], dtype="str")
    return keyed[~keyed.index.duplicated(keep=False)].to_dict()


@cache
def _name_key(name: str) -> str:
    """Name without the parts that programs add, in one Unicode form: macOS writes é as e and an accent."""
    return unicodedata.normalize("NFC", stem_of_picks(CRYOSPARC_UID.sub("", micrograph_stem(name))))
