"""Optics groups in RELION's STAR files of micrographs and particles, numbered anew from 1.

Source: Zivanov et al. 2020, IUCrJ 7:253; RELION 3.1 and 5 source, `metadata_label.h`.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.relion_labels import MICROSCOPE_LABELS
from crisp_core.formats.star import number_column
from crisp_core.formats.star_names import check_name


def used_groups(optics: pd.DataFrame, numbers: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """Optics groups with at least one member, numbered 1, 2, … in their order, and the members' new numbers.

    Parameters
    ----------
    optics : pd.DataFrame
        Optics groups, with rlnOpticsGroup.
    numbers : pd.Series
        rlnOpticsGroup of each particle or micrograph. If it is empty, every group stays.
    """
    used = optics[optics["rlnOpticsGroup"].isin(numbers)] if len(numbers) else optics
    new = pd.Series(range(1, len(used) + 1), index=used["rlnOpticsGroup"].to_numpy())
    return used.assign(rlnOpticsGroup=new.to_numpy()).reset_index(drop=True), numbers.map(new).astype(int)


def group_numbers(path: str | Path, optics: pd.DataFrame, rows: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Numbers of the groups in data_optics, and the number of the group of each row of another block.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    optics : pd.DataFrame
        Block data_optics.
    rows : pd.DataFrame
        Particles or micrographs, with rlnOpticsGroup.

    Raises
    ------
    UserError
        If data_optics has a group twice, or lacks the group of a row.
    """
    numbers = pd.Series(number_column(path, optics, "rlnOpticsGroup"))
    group_of = pd.Series(number_column(path, rows, "rlnOpticsGroup"))
    if numbers.duplicated().any():
        repeated = numbers[numbers.duplicated()].iloc[0]
        raise UserError(f"{path}: data_optics has the optics group {repeated:g} twice; remove one of the two")
    unknown = group_of[~group_of.isin(numbers)]
    if len(unknown):
        raise UserError(
            f"{path}: a row has the optics group {unknown.iloc[0]:g}, which data_optics lacks; add it there"
        )
    return numbers, group_of


def with_only_group(path: str | Path, optics: pd.DataFrame | None, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the number of the only optics group, where they name none.

    Parameters
    ----------
    path : str or Path
        The file, for the message.
    optics : pd.DataFrame, optional
        Block data_optics.
    rows : pd.DataFrame
        Particles or micrographs.

    Raises
    ------
    UserError
        If data_optics has several groups.
    """
    if optics is None or "rlnOpticsGroup" not in optics or "rlnOpticsGroup" in rows:
        return rows
    if len(optics) > 1:
        raise UserError(
            f"{path}: data_optics has {len(optics)} groups, but the other table has no rlnOpticsGroup; export it again "
            "with this column"
        )
    return rows.assign(rlnOpticsGroup=optics["rlnOpticsGroup"].iloc[0]) if len(optics) else rows


def optics_groups(
    path: str | Path, optics: pd.DataFrame | None, micrographs: pd.DataFrame
) -> tuple[pd.DataFrame, pd.Series]:
    """Optics groups of a file of micrographs, numbered 1, 2, …, and the number of the group of each micrograph.

    RELION 3.0 has no optics groups: micrographs of equal microscopes become one group.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    optics : pd.DataFrame, optional
        Block data_optics.
    micrographs : pd.DataFrame
        The block of micrographs.

    Raises
    ------
    UserError
        If the groups do not fit the micrographs, two have one name, or a number is missing.
    """
    micrographs = with_only_group(path, optics, micrographs)
    if optics is None or "rlnOpticsGroup" not in micrographs:
        return _groups_of_equal_microscope(path, micrographs)
    numbers, group_of = group_numbers(path, optics, micrographs)
    given = {label: number_column(path, optics, label) for label in MICROSCOPE_LABELS if label in optics}
    names = pd.Series([f"opticsGroup{number:g}" for number in numbers], dtype="str")
    if "rlnOpticsGroupName" in optics:
        names = optics["rlnOpticsGroupName"].astype("str").fillna(names)
    groups = pd.DataFrame({"rlnOpticsGroupName": names, "rlnOpticsGroup": numbers, **given})
    for name in names:
        check_name(path, name)
    if names.duplicated().any():
        raise UserError(f"{path}: two optics groups have the same rlnOpticsGroupName; name them differently")
    return used_groups(groups, group_of)


def _groups_of_equal_microscope(path: str | Path, micrographs: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    given = [label for label in MICROSCOPE_LABELS if label in micrographs]
    values = pd.DataFrame({label: number_column(path, micrographs, label) for label in given}, index=micrographs.index)
    microscopes = list(values.itertuples(index=False, name=None))
    numbers = {microscope: i for i, microscope in enumerate(dict.fromkeys(microscopes), start=1)}
    count = list(numbers.values())
    names = {"rlnOpticsGroupName": [f"opticsGroup{i}" for i in count], "rlnOpticsGroup": count}
    columns: dict[str, Sequence[float]] = {label: [] for label in given}
    if numbers:
        columns = dict(zip(given, zip(*numbers, strict=True), strict=True))
    return pd.DataFrame(names | columns), pd.Series([numbers[microscope] for microscope in microscopes], dtype=int)
