"""Configs and commands of the program `crisp`, without a run; workflow/test_named_networks.py runs crisp pick."""

import numpy as np
import pytest
import yaml

from crisp_core.cli import commands
from crisp_core.cli.main import main
from crisp_core.cli.options import parser
from crisp_core.datasets.batches import Place, write_places
from crisp_core.errors import UserError
from crisp_core.external.job_folder import locked
from crisp_core.formats.mrc import write_mrc
from crisp_core.settings.checks import check_settings
from crisp_core.settings.command_line import with_command_line
from tests.conftest import ROOT

TRAIN = "train raw/*.mrc --coordinates raw/*.box --origin top-left --diameter 150 --out trained"


@pytest.fixture(autouse=True)
def calls(tmp_path, monkeypatch):
    """Folder, options and targets of the runs of the workflow, of which none is started."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    for name in "abcd":
        image = np.zeros((8, 8), np.float32)
        write_mrc(tmp_path / f"raw/{name}.mrc", image, pixel_size=1.5, dtype=np.float32)
    made = []
    monkeypatch.setattr(commands, "run_workflow", lambda folder, options, *, targets: made.append((options, targets)))
    monkeypatch.setattr(commands, "tell_refused", lambda folder: None)
    monkeypatch.setattr(commands.picking, "tell_diameter", lambda folder, given: None)
    return made


def predict(words):
    options = parser().parse_args(f"predict raw/a.mrc raw/b.mrc --out maps --diameter {words}".split())
    options.work(options)
    config = yaml.safe_load((options.out / "crisp.yaml").read_text())
    return check_settings(with_command_line(config))


def test_micrographs_and_a_diameter_are_the_config_of_a_run_without_one(calls, tmp_path):
    settings = predict("150")
    dataset, experiment = settings.datasets["micrographs"], settings.experiments["general"]
    assert dataset.micrographs == [str(tmp_path / f"raw/{name}.mrc") for name in "ab"]
    assert (dataset.pixel_size, dataset.particle_diameter_angstrom) == (1.5, 150)
    assert experiment.network == "general" and experiment.centers.threshold is None
    ((options, targets),) = calls
    assert targets[0] == "maps" and options.settings is None


def test_options_change_single_settings():
    settings = predict("150 --threshold 0.4 --pixel-size 2")
    assert settings.experiments["general"].centers.threshold == 0.4
    assert settings.datasets["micrographs"].pixel_size == 2


def test_show_prints_config_and_command_and_writes_nothing(calls, tmp_path, capsys):
    for words in ("pick raw/a.mrc --diameter 150 --out picks --cores 3 --gpu none --show", f"{TRAIN} --show"):
        assert main(words.split()) == 0
        shown = capsys.readouterr().out
        config, command = shown.split("\n# in ")
        assert check_settings(with_command_line(yaml.safe_load(config)))
        assert " -m snakemake " in command and "--configfile crisp.yaml -- " in command
    assert not calls and [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_the_command_has_cores_gpus_and_targets(capsys):
    assert main("pick raw/a.mrc --diameter 150 --out picks --cores 3 --gpu none --show".split()) == 0
    shown = capsys.readouterr().out
    assert "--cores 3 --resources gpu=0 --configfile crisp.yaml -- picks results/micrographs/quarantine.tsv" in shown


def test_a_quarter_of_the_micrographs_validates(tmp_path):
    assert main([*TRAIN.split(), "--epochs", "3"]) == 0
    settings = check_settings(yaml.safe_load((tmp_path / "trained/crisp.yaml").read_text()))
    dataset = settings.datasets["micrographs"]
    assert dataset.coordinates.files == [str(tmp_path / "raw/*.box")] and dataset.coordinates.origin == "top-left"
    assert (dataset.split.train, dataset.split.validation, dataset.split.test) == (3, 1, 0)
    assert settings.experiments["trained"].training.epochs == 3
    assert (tmp_path / "trained/network.pt").is_symlink()


def test_one_micrograph_is_too_few_for_a_training(capsys):
    assert main(TRAIN.replace("*.mrc", "a.mrc").split()) == 1
    assert "MICROGRAPH: 1 micrographs have coordinates, but the training needs more" in capsys.readouterr().err


def test_micrographs_without_coordinates_are_left_out_and_told(tmp_path, capsys):
    # the last one is told by the workflow
    for name, height in (("b", "4"), ("c", "4"), ("d", "x")):
        (tmp_path / f"raw/{name}.box").write_text(f"1 1 4 {height}\n")
    assert main(TRAIN.split()) == 0
    assert "1 of 4 micrographs have no coordinates and are left out" in capsys.readouterr().out
    dataset = check_settings(yaml.safe_load((tmp_path / "trained/crisp.yaml").read_text())).datasets["micrographs"]
    assert dataset.micrographs == [str(tmp_path / f"raw/{name}.mrc") for name in "bcd"]
    assert (dataset.split.train, dataset.split.validation) == (2, 1)


def test_more_micrographs_train_anew(tmp_path):
    results = tmp_path / "trained/results/micrographs"
    (results / "split").mkdir(parents=True)
    (results / "split/drawn.tsv").touch()
    write_places(results / "batches.tsv", {name: Place(0, 0) for name in "abc"})
    assert main(TRAIN.split()) == 0
    assert not (results / "split/drawn.tsv").exists()


def test_a_running_training_keeps_its_parts(tmp_path):
    results = tmp_path / "trained/results/micrographs"
    (results / "split").mkdir(parents=True)
    (results / "split/drawn.tsv").touch()
    write_places(results / "batches.tsv", {name: Place(0, 0) for name in "abc"})
    with locked(tmp_path / "trained"):
        assert main(TRAIN.split()) == 1
    assert (results / "split/drawn.tsv").exists() and (results / "batches.tsv").exists()


@pytest.mark.parametrize("command", ["pick", "predict"])
def test_by_products_that_a_shell_names_are_left_out_and_told(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(commands, "run", lambda options, config, **_: made.append(config["micrographs"]))
    made = []
    (tmp_path / "raw/b_DW.mrc").write_bytes((tmp_path / "raw/b.mrc").read_bytes())
    write_mrc(tmp_path / "raw/a_PS.mrc", np.zeros((4, 4)), pixel_size=1.5, dtype=np.float32)
    expanded = sorted(str(path) for path in (tmp_path / "raw").glob("*.mrc"))
    main([command, *expanded, "--diameter", "150", "--out", "out"])
    assert made.pop() == [str(tmp_path / f"raw/{name}.mrc") for name in ("a", "b_DW", "c", "d")]
    output = "".join(capsys.readouterr())
    assert f"left out: {tmp_path}/raw/a_PS.mrc: power spectrum" in output and "give it alone to pick it too" in output
    main([command, "raw/a_PS.mrc", "--diameter", "150", "--out", "out"])
    assert made.pop() == [str(tmp_path / "raw/a_PS.mrc")]
    # what an earlier call has picked stays
    write_places(tmp_path / "out/results/micrographs/batches.tsv", {"b": Place(0, 0)})
    main([command, *expanded, "--diameter", "150", "--out", "out"])
    assert made.pop() == [str(tmp_path / f"raw/{name}.mrc") for name in ("a", "b", "c", "d")]


def test_by_products_do_not_count_as_training_micrographs(tmp_path):
    write_mrc(tmp_path / "raw/a_PS.mrc", np.zeros((4, 4)), pixel_size=1.5, dtype=np.float32)
    assert main(TRAIN.split()) == 0
    split = check_settings(yaml.safe_load((tmp_path / "trained/crisp.yaml").read_text())).datasets["micrographs"].split
    assert (split.train, split.validation) == (3, 1)


def test_the_report_has_the_settings_of_the_picks(tmp_path, calls):
    (tmp_path / "more.yaml").write_text("curation: {}\n")
    predict("150 --settings more.yaml")
    (tmp_path / "more.yaml").unlink()
    assert main(["report", "maps"]) == 0
    options, targets = calls[-1]
    assert targets == ["all"] and options.settings.read_text() == "curation: {}\n"
    predict("150")
    assert main(["report", "maps"]) == 0
    assert calls[-1][0].settings is None


def test_two_runs_in_one_folder_are_refused(tmp_path):
    (tmp_path / "maps").mkdir()
    with locked(tmp_path / "maps"), pytest.raises(UserError, match="maps: a job of CRISP is running in it"):
        predict("150")


def test_the_path_of_the_snakefile_is_printed(capsys):
    assert main(["snakefile"]) == 0
    assert capsys.readouterr().out == f"{ROOT}/Snakefile\n"
