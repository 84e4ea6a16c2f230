import copy
import os
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from crisp_core.errors import UserError
from crisp_core.settings.checks import check_settings
from crisp_core.settings.questions import label_source, network_owner

ROOT = Path(__file__).parents[2]
# examples that are given after another one
BASES = {
    "paper-tables.yaml": "empiar-10017-synthetic.yaml",
    "compare-empiar-10017.yaml": "empiar-10017.yaml",
    **dict.fromkeys(["crf.yaml", "crf-few.yaml"], "plain.yaml"),
    "working-pixel-size.yaml": "../config.yaml",
}
VALID = {
    "run": ["mine/unet"],
    "datasets": {
        "mine": {
            "micrographs": "*.mrc",
            "coordinates": {"files": "*.star", "origin": "top-left"},
            "pixel_size": 1.5,
            "particle_diameter_angstrom": 120,
        }
    },
    "experiments": {"unet": {}},
}


def changed(path, value):
    settings = copy.deepcopy(VALID)
    *parents, key = path.split("/")
    place = settings
    for parent in parents:
        place = place.setdefault(parent, {})
    if value is None:
        del place[key]
    else:
        place[key] = value
    return settings


def test_defaults_are_filled_in_at_every_depth():
    settings = check_settings(copy.deepcopy(VALID))
    assert settings.datasets["mine"].preparation.normalization == "gaussian_mixture"
    assert settings.experiments["unet"].training.loss == ["dice", "cross_entropy"]
    assert settings.experiments["unet"].centers.finder == "search"


def test_the_users_folder_is_found_in_every_path(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    settings = copy.deepcopy(VALID)
    settings["downloads"] = {"folder": "~/cache"}
    settings["datasets"]["mine"] |= {
        "micrographs": ["~/mics/*.mrc", "here/*.mrc"],
        "coordinates": {"files": "~/picks/*.star", "origin": "top-left"},
        "ctf": "~/ctf.star",
        "exposures": "~/exposures.cs",
        "labels": {"source": "poses", "poses": "~/run_data.star", "map": "~/map.mrc", "mask": "~/mask.mrc"},
    }
    resolution = {"picks": {"other": ["~/box/*.box"]}, "refined": {"mine": "~/run_data.star"}, "mask": "~/mask.mrc"}
    settings["experiments"] = {
        "unet": {"trained": "~/old/results/a/b", "resolution": resolution},
        "files": {"picker": {"files": "~/boxes/*.box", "origin": "top-left"}},
    }
    settings["datasets"]["drawn"] = SIMULATED | {"simulation": {"volume": "~/map.mrc"}}
    text = yaml.safe_dump(check_settings(settings).plain())
    # the number of paths above that begin with ~
    assert "~/" not in text and text.count("/home/me/") == 14
    # what is no path keeps it
    assert check_settings(changed("run", ["mine/unet"])).datasets["mine"].micrographs == "*.mrc"


def test_defaults_do_not_share_objects_between_entries():
    settings = check_settings(changed("experiments/other", {}))
    settings.experiments["other"].training.loss.append("lovasz")
    assert settings.experiments["unet"].training.loss == ["dice", "cross_entropy"]
    assert check_settings(copy.deepcopy(VALID)).experiments["unet"].training.loss[-1] != "lovasz"


@pytest.mark.parametrize("path", [ROOT / "config.yaml", *sorted((ROOT / "examples").glob("*.yaml"))])
def test_shipped_configs_are_valid_and_name_the_files_that_they_need(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [ROOT / "examples" / BASES[path.name], path] if path.name in BASES else [path]
    settings = {}
    for file in files:
        update_config(settings, yaml.safe_load(file.read_text()))
    check_settings(settings)
    if path.parent.name == "examples" and path.name != "your-own-data.yaml":
        names = [os.path.relpath(file.resolve(), ROOT) for file in files]
        assert f"--configfile {' '.join(names)}" in path.read_text()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sed", 1, "config, top level: unknown key 'sed'; known are .*seed"),
        ("experiments/unet/training/lr", 1, "experiments/unet/training: unknown key 'lr'; known are .*learning_rate"),
        ("experiments/unet/training/learning_rate", "1e-3", "'1e-3' is text, not a number; .*1.0e-3"),
        (
            "experiments/unet/training/epochs",
            0,
            "training/epochs: 0 is less than the minimum; give at least 1",
        ),
        (
            "experiments/unet/training/loss",
            ["mse"],
            "experiments/unet/training/loss: 'mse' is not known; use one of dice",
        ),
        (
            "experiments/unet/training/loss",
            [{"name": "dice", "weight": 0}],
            "training/loss/dice/weight: 0 is too small; give more than 0",
        ),
        (
            "experiments/unet/centers/finder",
            "blob",
            "centers/finder: 'blob' is not known; use one of search, morphology",
        ),
        (
            "experiments/unet/centers/finder",
            {"name": "nms", "s": 0.4},
            "centers/finder/nms: unknown key 's'; known are",
        ),
        ("experiments/unet/prediction/overlap_px", 300, "overlap_px 300 is more than half of tile_px 512"),
        (
            "experiments/unet/particles",
            {"box_angstrom": 100, "background_radius_angstrom": 60},
            "60 Å does not fit into the box of 108 Å",
        ),
        ("datasets/mine/coordinates/origin", None, "datasets/mine/coordinates: origin is missing; give it .Row order"),
        ("datasets/mine/pixel_size", -1, "datasets/mine/pixel_size: -1 is less than the minimum; give at least 0.05"),
        ("datasets/mine/simulation", {}, "exactly one source is allowed; give either micrographs .* or simulation"),
        (
            "datasets/mine/preparation/working_pixel_size",
            0.5,
            "0.5 Å/px enlarges micrographs of 1.5 Å/px more than 2.5 times; give 0.6 or more",
        ),
        (
            "datasets/mine/preparation",
            {"working_pixel_size": 40},
            "less than 4 pixels wide at working_pixel_size 40; give at most 15 Å/px",
        ),
        (
            "datasets/mine/coordinates",
            {"files": "*.cbox", "origin": "top-left", "format": "cryolo", "subtract_origins": True},
            "datasets/mine/coordinates/subtract_origins: cryolo files have no origins; give star files of refined",
        ),
        ("datasets/mine/micrographs_from_rules", True, r"from_rules: the pattern \*\.mrc matches .*; list the paths"),
        (
            "datasets/drawn",
            {"simulation": {}, "pixel_size": 6, "particle_diameter_angstrom": 150, "micrographs_from_rules": True},
            "drawn/micrographs_from_rules: a simulation takes no micrographs; leave it out",
        ),
        ("datasets/mine/split", {"train": -1}, "datasets/mine/split/train: -1"),
        ("experiments/unet", {"trained": "x", "training": {}}, "training would have no effect"),
        ("run", ["mine/other"], "mine/other is not an entry of experiments; defined are unet"),
        ("run", [], "config, run: "),
        (
            "run",
            None,
            "config, top level: run is missing; a config file names run, datasets and experiments, as config",
        ),
    ],
)
def test_a_wrong_setting_gets_one_line_with_its_place(path, value, message):
    with pytest.raises(UserError, match=message) as caught:
        check_settings(changed(path, value))
    assert "\n" not in str(caught.value)


def test_an_entry_inherits_what_it_does_not_say():
    settings = copy.deepcopy(VALID)
    settings["experiments"] = {
        "unet": {"network": {"encoder": "resnet34", "options": {"encoder_depth": 4}}, "training": {"epochs": 3}},
        "longer": {"extend": "unet", "training": {"epochs": 9, "loss": ["dice"]}},
        "finer": {"extend": "longer", "network": {"options": {"decoder_channels": [8]}}},
    }
    settings["datasets"]["fine"] = {"extend": "mine", "preparation": {"working_pixel_size": 3.0}}
    checked = check_settings(settings)
    finer = checked.experiments["finer"]
    assert (finer.training.epochs, finer.training.loss) == (9, ["dice"])
    assert finer.network.options == {"encoder_depth": 4, "decoder_channels": [8]}
    assert checked.experiments["unet"].training.epochs == 3
    assert checked.datasets["fine"].coordinates == checked.datasets["mine"].coordinates
    assert checked.datasets["fine"].preparation.working_pixel_size == 3.0


def test_extending_nothing_or_oneself_is_said():
    with pytest.raises(UserError, match="experiments/unet/extend: there is no 'unnet'; defined are unet"):
        check_settings(changed("experiments/unet/extend", "unnet"))
    settings = changed("experiments/other", {"extend": "unet"})
    settings["experiments"]["unet"]["extend"] = "other"
    with pytest.raises(UserError, match="unet extends other extends unet; remove one extend"):
        check_settings(settings)


def test_an_equal_network_has_one_owner_per_seed():
    settings = copy.deepcopy(VALID)
    settings["experiments"] = {
        "unet": {"training": {"epochs": 3}},
        "nms": {"extend": "unet", "centers": {"finder": "nms"}},
        "longer": {"extend": "nms", "training": {"epochs": 4}},
    }
    settings["tables"] = {"all": {"rows": ["nms", "mine/longer"], "seeds": [1, 7]}}
    experiments = check_settings(settings).experiments
    owners = {name: network_owner(experiments, name) for name in experiments}
    assert owners == {
        "unet": "unet",
        "nms": "unet",
        "longer": "longer",
        "unet-seed7": "unet-seed7",
        "nms-seed7": "unet-seed7",
        "longer-seed7": "longer-seed7",
    }
    assert experiments["nms-seed7"].seed == 7 and experiments["nms"].seed is None


def test_a_further_training_has_one_owner_for_equal_settings():
    settings = copy.deepcopy(VALID)
    settings["experiments"] = {
        "unet": {},
        "logits": {"extend": "unet", "crf": {"type": "logits"}},
        "turned": {"extend": "logits", "prediction": {"turns": True}},
        "long": {"extend": "turned", "crf": {"epochs": 60}},
    }
    experiments = check_settings(settings).experiments
    assert {network_owner(experiments, name) for name in experiments} == {"unet"}
    owners = {name: network_owner(experiments, name, with_crf=True) for name in experiments}
    assert owners == {"unet": "unet", "logits": "logits", "turned": "logits", "long": "long"}


@pytest.mark.parametrize(
    "experiment",
    [
        {"crf": {"type": "learned", "operator": "grid"}},
        {
            "crf": {"type": "logits", "operator": "grid"},
            "network": {"classes": ["background", "particle", "contaminant", "carbon"]},
        },
    ],
)
def test_a_grid_of_several_features_is_refused(experiment):
    with pytest.raises(UserError, match="config, experiments/unet/crf/operator: grid takes one feature only"):
        check_settings(changed("experiments/unet", experiment))


@pytest.mark.parametrize(
    ("dataset", "accepted"),
    [
        ({}, False),
        ({"labels": {"source": "poses", "poses": "run_data.star", "map": "map.mrc"}}, False),
        ({"simulation": {}}, False),
        ({"simulation": {"scenery": {"carbon": {"probability": 0.5}, "ice": {"n_per_micrograph": [0, 2]}}}}, True),
        ({"simulation": {"scenery": {"ice": {"n_per_micrograph": [0, 2]}}}}, False),
        ({"simulation": {"scenery": {"ice": {"n_per_micrograph": [0, 0]}, "noise": {"coloured_share": 0.1}}}}, False),
        ({"simulation": {"scenery": {"carbon": {"probability": 0.5}}}, "labels": {"source": "poses"}}, False),
    ],
)
def test_four_classes_need_labels_that_have_them(dataset, accepted):
    settings = changed("experiments/unet/network", {"classes": ["background", "particle", "contaminant", "carbon"]})
    settings["experiments"]["unet"]["training"] = {"start": "random"}
    entry = settings["datasets"]["mine"]
    entry |= {"split": {"train": 2, "validation": 1}} | dataset
    for key in ("micrographs", "coordinates") if "simulation" in entry else ():
        del entry[key]
    if accepted:
        check_settings(settings)
        return
    message = "config, experiments/unet/network/classes: the labels of mine do not show (contaminant and )?carbon"
    with pytest.raises(UserError, match=message):
        check_settings(copy.deepcopy(settings))
    # a network that is trained already has learned its classes elsewhere
    settings["experiments"]["unet"] = {"trained": "results/other/unet"}
    check_settings(settings)


def test_a_symmetry_that_aspire_lacks_is_refused():
    experiment = {"resolution": {"program": "aspire", "symmetry": "O"}}
    with pytest.raises(UserError, match="config, experiments/unet/resolution/symmetry: aspire reconstructs with Cn"):
        check_settings(changed("experiments/unet", experiment))
    for name in ("truth", "false-10", "2d"):
        with pytest.raises(UserError, match="config, experiments/unet/resolution/refined: "):
            check_settings(changed("experiments/unet/resolution", {"refined": {name: "run_data.star"}}))


def test_a_crf_has_no_effect_beside_a_trained_network():
    with pytest.raises(UserError, match="experiments/unet: trained has its own network, so crf would have no effect"):
        check_settings(changed("experiments/unet", {"trained": "folder", "crf": {"type": "logits"}}))


@pytest.mark.parametrize("row", ["deeplab", "mine/deeplab", "yours/unet"])
def test_a_table_of_what_is_not_defined_is_refused(row):
    with pytest.raises(UserError, match=f"tables/all/rows: {row} is not an entry of (experiments|datasets)"):
        check_settings(changed("tables/all", {"rows": [row]}))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"source": "truth"}, "labels/source: only a simulation has source truth; give disc, clicks, poses"),
        ({"source": "poses"}, "labels/poses: source poses needs orientations"),
        ({"source": "poses", "poses": "run_data.star"}, "labels/map: source poses needs a density"),
        ({"source": "matching"}, "labels/map: matching compares particles with a map"),
    ],
)
def test_labels_that_cannot_be_made_are_refused(labels, message):
    with pytest.raises(UserError, match=f"config, datasets/mine/{message}"):
        check_settings(changed("datasets/mine/labels", labels))


def test_source_of_the_labels_by_default():
    settings = changed("datasets/drawn", {"simulation": {}, "pixel_size": 7.08, "particle_diameter_angstrom": 180})
    datasets = check_settings(settings).datasets
    assert {name: label_source(dataset) for name, dataset in datasets.items()} == {"mine": "disc", "drawn": "truth"}


SIMULATED = {"simulation": {"n_micrographs": 12}, "pixel_size": 7.08, "particle_diameter_angstrom": 180}


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ({}, "split: asks for 22 micrographs, the simulation makes 12; lower them"),
        (
            {"split": {"train": 8, "validation": 0}},
            "split/validation: a training needs at least one micrograph; add one",
        ),
        (
            {"simulation": {"scenery": {"ice": {"n_per_micrograph": [3, 1]}}}},
            "simulation/scenery/ice/n_per_micrograph: the minimum, 3, is more than the maximum, 1; swap them",
        ),
        ({"labels": {"instances": True}}, "labels/instances: truth has no instances; set source to poses, or"),
    ],
)
def test_simulations_that_cannot_work_are_refused(dataset, message):
    settings = copy.deepcopy(VALID) | {"run": ["drawn/unet"]}
    settings["datasets"]["drawn"] = SIMULATED | dataset
    with pytest.raises(UserError) as error:
        check_settings(settings)
    assert str(error.value).startswith(f"config, datasets/drawn/{message}")


def test_more_training_micrographs_than_there_are_is_refused():
    settings = changed("experiments/unet/training", {"n_micrographs": 50})
    with pytest.raises(UserError, match="unet/training/n_micrographs: 50 is more than the 16 training micrographs; lo"):
        check_settings(settings)


def test_an_experiment_cannot_have_the_name_of_a_datasets_folder():
    with pytest.raises(UserError, match="config, experiments: labels is the name of a folder of results; rename it"):
        check_settings(changed("experiments/labels", {}))


@pytest.mark.parametrize(("diameter", "pixel_size", "working"), [(120, 1.5, 4.8), (20, 1.5, 1.5)])
def test_working_pixel_size_follows_the_diameter(diameter, pixel_size, working):
    settings = changed("datasets/mine/particle_diameter_angstrom", diameter)
    settings["datasets"]["mine"]["pixel_size"] = pixel_size
    assert check_settings(settings).datasets["mine"].preparation.working_pixel_size == working


def test_an_experiments_own_seed_keeps_its_name_and_copies_clash_with_nothing():
    settings = changed("tables/all", {"rows": ["unet"], "seeds": [1, 7]})
    settings["experiments"]["unet"]["seed"] = 7
    experiments = check_settings(copy.deepcopy(settings)).experiments
    assert {name: entry.seed for name, entry in experiments.items()} == {"unet": 7, "unet-seed1": 1}
    settings["experiments"]["unet-seed1"] = {"network": {"encoder": "resnet34"}}
    with pytest.raises(UserError, match="experiments/unet-seed1: a table needs this name for unet with seed 1; rename"):
        check_settings(settings)


def test_a_network_beside_an_inherited_trained_one_is_refused():
    settings = changed("experiments/old", {"trained": "results/a/b"})
    settings["experiments"]["new"] = {"extend": "old", "training": {"epochs": 9}}
    with pytest.raises(UserError, match="experiments/new: trained has its own network, so training would have no"):
        check_settings(settings)


def test_extending_two_is_refused():
    with pytest.raises(UserError, match=r"other/extend: .*'unet'.* is not a name; give the name of one entry"):
        check_settings(changed("experiments/other", {"extend": ["unet"]}))


def test_a_network_that_extends_a_picker_trains_its_own():
    settings = changed("experiments/log", {"picker": {"program": "skimage-log"}})
    settings["experiments"]["net"] = {"extend": "log", "picker": None}
    assert network_owner(check_settings(settings).experiments, "net") == "net"


def test_a_table_of_an_empty_test_part_is_refused():
    settings = changed("tables/all", {"rows": ["mine/unet"]})
    settings["datasets"]["mine"]["split"] = {"test": 0}
    with pytest.raises(UserError, match="tables/all/rows: mine/unet is compared on the test part, which is empty"):
        check_settings(settings)


def test_a_table_of_a_dataset_without_coordinates_is_refused():
    settings = changed("tables/all", {"rows": ["plain/old"]})
    settings["datasets"]["plain"] = {"micrographs": "*.mrc", "pixel_size": 1.5, "particle_diameter_angstrom": 120}
    settings["experiments"]["old"] = {"trained": "results/a/b"}
    with pytest.raises(UserError, match="tables/all/rows: plain/old has no coordinates to be compared with"):
        check_settings(settings)


@pytest.mark.parametrize("size", [2.97e-294, 0.01])
def test_a_pixel_size_that_no_detector_has_is_refused(size):
    settings = yaml.safe_load((ROOT / "examples/your-own-data.yaml").read_text())
    settings["datasets"]["my-data"]["pixel_size"] = size
    with pytest.raises(UserError, match=r"my-data/pixel_size: .* is less than the minimum; give at least 0\.05 \(Pix"):
        check_settings(settings)
