"""Names in coordinate files and the micrographs that they match: the table `importing.Imported.names`."""

from collections.abc import Mapping, Sequence

import pandas as pd

from crisp_core.datasets.quarantine import Refused
from crisp_core.formats.coordinates.names import match_names, names_of_one_micrograph, nearest_name
from crisp_core.formats.coordinates.registry import file_stem
from crisp_core.formats.stems import micrograph_stem


def matched_names(
    tables: Mapping[str, pd.DataFrame], sources: Mapping[str, str | None], micrographs: Sequence[str], required: bool
) -> pd.DataFrame:
    """Ordered table of names; an empty file belongs to the micrograph of its own name.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Coordinates by path.
    sources : mapping of str to str or None
        Micrograph of each file, by path; None if the file or its name says it.
    micrographs : sequence of str
        Micrographs of the dataset.
    required : bool
        Whether at least one name must match.
    """
    counts = {path: table["micrograph"].value_counts(sort=False).to_dict() for path, table in tables.items()}
    rows = [(path, name, n) for path in tables for name, n in (counts[path] or {sources[path] or path: 0}).items()]
    names = pd.DataFrame(rows, columns=["path", "name", "n_coordinates"])
    matched = match_names(_named(names), micrographs, required=required)["micrograph"]
    names.insert(2, "micrograph", matched)
    return names.sort_values(["path", "name"], ignore_index=True)


def names_in_doubt(names: pd.DataFrame) -> dict[int, str]:
    """Reasons against names that match the same micrograph, by row; nobody knows which of them it is.

    Such names are those of two grids with equal file names, or of two imports into cryoSPARC, in one file or in one of
    RELION's lists, whose names are whole in this case (`distinct_stems`). Two files of the same name are no doubt: the
    first one counts.
    """
    is_whole = names["name"].str.contains(r"[/\\]") & (names["name"] != names["path"])
    is_doubtful = names.duplicated(["path", "micrograph"], keep=False) | is_whole
    reasons: dict[int, str] = {}
    for micrograph, several in names_of_one_micrograph(names[is_doubtful]).items():
        rows = names[is_doubtful & (names["micrograph"] == micrograph)]
        reasons |= {
            row.Index: f"{row.path}: {several} both match micrograph {micrograph}; remove the rows of one"
            for row in rows.itertuples()
        }
    return reasons


def _named(names: pd.DataFrame) -> list[str]:
    """Names to be matched: an empty file is listed by its path, and named without the suffix."""
    return [file_stem(path) if path == name else name for path, name in zip(names["path"], names["name"], strict=True)]


def unmatched_files(names: pd.DataFrame, micrographs: Sequence[str]) -> list[Refused]:
    """Coordinate files without a name that matches a micrograph.

    Parameters
    ----------
    names : DataFrame
        `names` of `Imported`, or a result of `joined_names`.
    micrographs : sequence of str
        All micrographs of the dataset. A file with a micrograph among them is not listed, since the micrograph itself
        was refused.
    """
    known = match_names(_named(names), micrographs, required=False)["micrograph"].to_numpy()
    matched = pd.Series((names["micrograph"].to_numpy() != "") | (known != ""), index=names["path"].to_numpy())
    first = names.drop_duplicates("path").set_index("path")["name"]
    return [
        Refused(
            path,
            "coordinates",
            f"{path}: no micrograph is called {micrograph_stem(first[path])}, the nearest name is "
            f"{nearest_name(first[path], micrographs)}; rename the file if it belongs to one; it is used as soon as "
            "its micrograph arrives",
        )
        for path, any_matched in matched.groupby(level=0, sort=False).any().items()
        if not any_matched
    ]


def joined_names(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join the tables of names of the parts of a dataset.

    Parameters
    ----------
    tables : sequence of DataFrame
        `Imported.names` of each part, which was read with all files that may concern it.

    Returns
    -------
    DataFrame
        Every name once, without micrograph only if no part has one.
    """
    names = pd.concat(tables, ignore_index=True).sort_values("micrograph", ascending=False, kind="stable")
    names = names.drop_duplicates(["path", "name"])
    return names.sort_values(["path", "name"], ignore_index=True)
