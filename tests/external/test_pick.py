"""Options of crisp_pick as a config, without a run."""

import numpy as np
import pandas as pd
import pytest

from crisp_core.datasets.batches import Place, write_places
from crisp_core.errors import UserError
from crisp_core.external.micrograph_list import MicrographList
from crisp_core.external.outputs import LIST
from crisp_core.external.pick import RUN, parser, picked_names, read_picks, run_config, targets
from crisp_core.formats.coordinates.table import coordinates_table
from crisp_core.formats.relion_coordinates import write_coordinates_star
from crisp_core.formats.star import write_blocks
from crisp_core.segmentation.shipped import shipped_network
from crisp_core.settings.checks import check_settings
from crisp_core.settings.command_line import with_command_line

LISTED = MicrographList(["raw/a.mrc", "raw/b.mrc"], 1.5)


def settings_of(*words, listed=LISTED):
    options = parser().parse_args(["--o", "job", "--in_mics", "m.star", *words])
    return check_settings(with_command_line(run_config(options, listed)))


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    for name in LISTED.names:
        (tmp_path / name).touch()
    return tmp_path


def test_a_diameter_is_enough(project):
    settings = settings_of("--diameter", "150")
    dataset, experiment = settings.datasets["micrographs"], settings.experiments["general"]
    assert dataset.micrographs == [str(project / name) for name in LISTED.names]
    assert (dataset.pixel_size, dataset.particle_diameter_angstrom) == (1.5, 150)
    assert experiment.network == "general" and experiment.centers.threshold is None


def test_a_folder_with_the_name_of_a_shipped_network_hides_it_not(project):
    (project / "general").mkdir()
    assert settings_of("--diameter", "150").experiments["general"].network == "general"
    with pytest.raises(UserError, match=r"general: has no trained network; give the folder of a training"):
        settings_of("--diameter", "150", "--network", "./general")


def test_picks_of_batches_that_are_no_more_are_not_read(project):
    for batch in ("0000", "0001", "0002"):
        table = coordinates_table(["a"], np.array([1.0]), np.array([2.0]), np.array([0.5]))
        (project / RUN / "picks").mkdir(parents=True, exist_ok=True)
        write_coordinates_star(project / RUN / f"picks/{batch}.star", table)
    write_places(project / "results/micrographs/batches.tsv", {"a": Place(0, 0), "b": Place(1, 0)})
    assert len(read_picks(project)) == 2
    # a first call on a wrong file recorded batch 0 and made nothing
    (project / RUN / "picks/0000.star").unlink()
    assert len(read_picks(project)) == 1


def test_options_change_single_settings():
    settings = settings_of("--diameter", "150", "--threshold", "0.4", "--pixel_size", "2")
    assert settings.experiments["general"].centers.threshold == 0.4
    assert settings.datasets["micrographs"].pixel_size == 2
    with pytest.raises(UserError, match=r"pixel_size: 0\.0 is less than the minimum"):
        settings_of("--diameter", "150", "--pixel_size", "0")


def test_a_network_is_a_name_or_a_job_of_training_or_a_file(project):
    job = project / "External/job004"
    (job / "results/micrographs/trained").mkdir(parents=True)
    with pytest.raises(UserError, match="job004: has no trained network"):
        settings_of("--diameter", "150", "--network", "External/job004/")
    for name in ("network.pt", "results/micrographs/trained/centers.yaml"):
        (job / name).touch()
    for given in ("External/job004/", "External/job004/network.pt"):
        experiment = settings_of("--diameter", "150", "--network", given).experiments["general"]
        assert experiment.trained == str(job / "results/micrographs/trained")
    # a name by which the config finds a file
    (project / "network.pt").symlink_to(shipped_network("general"))
    with pytest.raises(UserError, match=r"--network: network\.pt is a file without a threshold"):
        settings_of("--diameter", "150", "--network", "network.pt")
    settings = settings_of("--diameter", "150", "--network", "network.pt", "--threshold", "0.5")
    assert settings.experiments["general"].network == str(project / "network.pt")
    with pytest.raises(UserError, match="experiments/general/network"):
        settings_of("--diameter", "150", "--network", "generel")


def test_a_diameter_is_a_number_or_auto():
    options = parser().parse_args("--o job --in_mics m.star --diameter auto".split())
    assert run_config(options, LISTED)["diameter_angstrom"] == "auto"
    with pytest.raises(UserError, match="--diameter: 'big' is not a number"):
        settings_of("--diameter", "big")


def test_yes_and_no_may_be_relions_words():
    options = parser().parse_args("--o job --in_mics m.star --diameter 150 --masks --report No".split())
    assert targets(options)[0] == "picks" and targets(options)[-1] == "maps"
    options = parser().parse_args("--o job --in_mics m.star --diameter 150".split())
    assert targets(options) == ["all"]


def test_micrographs_that_cannot_be_read_or_are_excluded_are_told_and_left_out(project, capsys):
    for name, path in (("micrographs", "/x/raw/b.mrc"), ("micrographs/general", None)):
        folder = project / "job/results" / name
        folder.mkdir(parents=True)
        rows = pd.DataFrame({"stage": ["prepare"], "path": [path], "reason": ["is cut off; copy it again"]})
        # without CTF or with a coordinate outside, a micrograph is picked all the same
        others = {
            "path": ["raw/a.mrc", "boxes/a.box"],
            "stage": ["ctf", "coordinates"],
            "reason": ["no line", "outside"],
        }
        rows = pd.concat([rows, pd.DataFrame(others)])
        rows.dropna().to_csv(folder / "quarantine.tsv", sep="\t", index=False)
    listed = pd.DataFrame({"rlnMicrographName": ["m/a.mrc"], "rlnMicrographCoordinates": ["a_autopick.star"]})
    write_blocks(project / "job" / RUN / LIST, {"coordinate_files": listed})
    more = MicrographList([*LISTED.names, "raw/c.mrc"], 1.5)
    assert picked_names(project / "job", more) == {"a": "raw/a.mrc"}
    told = capsys.readouterr().out
    assert "not picked: raw/b.mrc: is cut off; copy it again" in told
    assert "not picked: raw/c.mrc: is excluded by the settings of curation" in told
