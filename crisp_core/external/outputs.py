"""Files of picks in the folder of a job, as RELION 3.1, 4 and 5 read them, and the list of the job's output nodes.

Source: RELION 3.1, 4 and 5 source, `pipeline_jobs.cpp`, `pipeline_jobs.h`, `pipeliner.cpp`; tried with 3.1.3.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from crisp_core.external.micrograph_list import coordinate_file
from crisp_core.formats.relion_autopick import LIST_LABEL, autopick_table, read_coordinate_list
from crisp_core.formats.relion_labels import NAME_LABEL
from crisp_core.formats.star import write_blocks

SUFFIX, LIST = "_autopick.star", "autopick.star"
# RELION 3.1 knows the picks of a job by this file; RELION 4 and 5 by the list.
SUFFIX_FILE = f"coords_suffix{SUFFIX}"
NODES = "RELION_OUTPUT_NODES.star"
NODE_LABEL, TYPE_LABEL, TYPE_NAME_LABEL = "rlnPipeLineNodeName", "rlnPipeLineNodeType", "rlnPipeLineNodeTypeLabel"
# Type of coordinates: a number in RELION 3.1, other names in RELION 4 and 5.
COORDINATES, COORDINATES_4 = 2, "MicrographsCoords.star.relion.autopick"
COORDINATES_5 = "MicrographCoordsGroup.star.relion.autopick"


def write_picks(folder: Path, picks: pd.DataFrame, names: Mapping[str, str], *, micrographs_star: str) -> None:
    """Write the picks of all micrographs of a job; files of an earlier call for other micrographs are removed.

    Parameters
    ----------
    folder : Path
        Folder of the job, relative to RELION's project.
    picks : pd.DataFrame
        Columns micrograph (stem), x, y, score.
    names : mapping of str to str
        Name in RELION's lists of every picked micrograph, by stem; one without picks gets an empty file.
    micrographs_star : str
        RELION's list of micrographs.
    """
    files = {stem: coordinate_file(folder, name, SUFFIX) for stem, name in names.items()}
    remove_earlier(folder / LIST, keep=set(files.values()))
    of_micrograph = dict(list(picks.groupby("micrograph", sort=False)))
    for stem, file in files.items():
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        write_blocks(file, {"": autopick_table(of_micrograph.get(stem, picks.iloc[:0]))})
    listed = pd.DataFrame({NAME_LABEL: list(names.values()), LIST_LABEL: list(files.values())})
    write_blocks(folder / LIST, {"coordinate_files": listed.astype("str")})
    (folder / SUFFIX_FILE).write_text(f"{micrographs_star}\n")


def remove_earlier(list_path: Path, *, keep: set[str]) -> None:
    """Remove files of picks in the job's folder that the list of an earlier call names, except those to keep."""
    if list_path.exists():
        own = Path(os.path.abspath(list_path.parent))
        for file in read_coordinate_list(list_path).keys() - keep:
            if own in Path(os.path.abspath(file)).parents:
                Path(file).unlink(missing_ok=True)


def write_output_nodes(folder: Path, project: Path) -> None:
    """Write the list of output nodes in the form of the RELION that wrote the project's `default_pipeline.star`.

    Parameters
    ----------
    folder : Path
        Folder of the job, relative to the project.
    project : Path
        Folder of RELION's project.
    """
    pipeline = project / "default_pipeline.star"
    text = pipeline.read_text(errors="replace") if pipeline.exists() else TYPE_NAME_LABEL
    if TYPE_NAME_LABEL not in text:
        node: dict[str, object] = {NODE_LABEL: f"{folder.as_posix()}/{SUFFIX_FILE}", TYPE_LABEL: COORDINATES}
    else:
        # RELION 4 says MicrographsData where RELION 5 says MicrographGroupMetadata
        kind = COORDINATES_4 if "MicrographsData" in text else COORDINATES_5
        node = {NODE_LABEL: f"{folder.as_posix()}/{LIST}", TYPE_NAME_LABEL: kind}
    write_blocks(folder / NODES, {"output_nodes": pd.DataFrame([node])})
