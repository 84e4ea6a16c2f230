from pathlib import Path

import pandas as pd
import pytest

from crisp_core.external.outputs import write_output_nodes, write_picks
from crisp_core.formats.relion_autopick import read_coordinate_list
from crisp_core.formats.star import read_blocks, write_blocks

NAMES = {"a": "MotionCorr/job002/raw/a.mrc", "b": "raw/b.mrc"}
PICKS = pd.DataFrame({"micrograph": ["a", "a"], "x": [1.0, 2], "y": [3.0, 4], "score": [0.5, 0.9]})


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path.relative_to(tmp_path) / "External/job003"
    folder.mkdir(parents=True)
    return folder


def test_picks_are_in_relions_places(job):
    write_picks(job, PICKS, NAMES, micrographs_star="CtfFind/job002/micrographs_ctf.star")
    assert (job / "coords_suffix_autopick.star").read_text() == "CtfFind/job002/micrographs_ctf.star\n"
    files = {"External/job003/raw/a_autopick.star": "a", "External/job003/raw/b_autopick.star": "b"}
    assert read_coordinate_list(job / "autopick.star") == files
    assert list(read_blocks(job / "raw/a_autopick.star")[""]["rlnCoordinateY"]) == [3, 4]
    assert len(read_blocks(job / "raw/b_autopick.star")[""]) == 0


def test_picks_of_another_job_are_kept(job):
    other = Path("AutoPick/job001/a_autopick.star")
    other.parent.mkdir(parents=True)
    other.write_text("of another job")
    listed = pd.DataFrame({"rlnMicrographName": ["raw/a.mrc"], "rlnMicrographCoordinates": [str(other)]})
    write_blocks(job / "autopick.star", {"coordinate_files": listed})
    write_picks(job, PICKS, NAMES, micrographs_star="m.star")
    assert other.read_text() == "of another job"


def test_picks_of_a_micrograph_that_left_the_list_are_removed(job):
    write_picks(job, PICKS, NAMES, micrographs_star="m.star")
    write_picks(job, PICKS, {"a": NAMES["a"]}, micrographs_star="m.star")
    assert sorted(path.name for path in (job / "raw").iterdir()) == ["a_autopick.star"]


@pytest.mark.parametrize(
    ("pipeline", "file", "kind"),
    [
        ("_rlnPipeLineNodeType #2\nCtfFind/job002/micrographs_ctf.star 1", "coords_suffix_autopick.star", 2),
        ("_rlnPipeLineNodeTypeLabel #2\na MicrographsData.star.relion.ctf", "autopick.star", "MicrographsCoords"),
        ("_rlnPipeLineNodeTypeLabel #2\na MicrographGroupMetadata.star", "autopick.star", "MicrographCoordsGroup"),
        (None, "autopick.star", "MicrographCoordsGroup"),
    ],
)
def test_output_nodes_are_those_of_the_projects_relion(job, pipeline, file, kind):
    if pipeline:
        (job / "../../default_pipeline.star").write_text(pipeline)
    write_output_nodes(job, job / "../..")
    (node,) = read_blocks(job / "RELION_OUTPUT_NODES.star")["output_nodes"].to_dict("records")
    assert node.pop("rlnPipeLineNodeName") == f"External/job003/{file}"
    (found,) = node.values()
    assert found == kind if isinstance(kind, int) else found == f"{kind}.star.relion.autopick"
