import copy

import numpy as np
import pandas as pd
import pytest

from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.relion_coordinates import read_coordinates_star
from tests.densities import ball

from .conftest import TINY, copy_workflow, run_snakemake, write_config

pytestmark = pytest.mark.slow
ZOO = {
    "pixel_size": 6,
    "particle_diameter_angstrom": 150,
    "simulation": {
        "n_micrographs": 6,
        "shape_px": [128, 160],
        "volume": ["volumes/*.mrc"],
        # every third micrograph or so has no particle
        "zoo": {"exclude": ["pair"], "shells": 0.2, "empty": 0.4, "coverage": [0.1, 0.4], "border": 0},
    },
    "split": {"train": 6, "validation": 0},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = copy_workflow(tmp_path_factory.mktemp("zoo") / "crisp")
    (folder / "volumes").mkdir()
    balls = {"ball": ball(24, 8), "pair": np.maximum(ball(24, 4, (-5, 0, 0)), ball(24, 4, (5, 0, 0)))}
    for name, density in balls.items():
        write_mrc(folder / f"volumes/{name}.mrc", density, pixel_size=5, dtype=np.float32)
    settings = copy.deepcopy(TINY)
    own = settings["experiments"].pop("small")
    other = {"volume": ["volumes/*.mrc"], "zoo": {"exclude": ["ball"]}}
    validation = {"extend": "train", "simulation": other, "split": {"train": 0, "validation": 6}}
    settings["datasets"] = {"train": ZOO, "validation": validation}
    own["network"] = own.get("network", {}) | {"classes": ["background", "particle", "contaminant", "carbon"]}
    settings["networks"] = {"general": {"datasets": ["train", "validation"], **own}}
    settings["experiments"] = {"general": {"network": "general", "centers": {"threshold": 0.5}}}
    settings["run"] = ["validation/general"]
    settings["micrographs_per_job"] = 4
    write_config(folder / "mine.yaml", settings)
    targets = ("results/networks/general/network.pt", "results/validation/general/metrics/picks.tsv")
    run_snakemake("--cores", "2", "--configfile", "mine.yaml", "--", *targets, cwd=folder)
    return folder / "results"


def drawn(results, dataset):
    return pd.concat(pd.read_csv(path, sep="\t") for path in sorted((results / dataset).glob("simulation/*-drawn.tsv")))


def test_training_and_validation_have_other_volumes_and_the_asked_sizes(finished):
    train, validation = drawn(finished, "train"), drawn(finished, "validation")
    assert len(train) == len(validation) == 6
    assert not train["volumes"].str.contains("pair").any() and not validation["volumes"].str.contains("ball").any()
    assert train["extent_px"].between(20, 30).all()


def test_the_network_is_scored_on_the_validation_volumes(finished):
    scores = pd.read_csv(finished / "validation/general/metrics/picks.tsv", sep="\t")
    pooled = scores[scores["micrograph"] == "all"].set_index("part")
    assert pooled.loc["validation", "n_truth"] == drawn(finished, "validation")["n_particles"].sum()


def test_a_micrograph_without_particles_is_trained_on_too(finished):
    table = drawn(finished, "train").set_index("micrograph")["n_particles"]
    names = pd.read_csv(finished / "train/coordinates/0-names.tsv", sep="\t").set_index("micrograph")["n_coordinates"]
    assert names.sort_index().to_dict() == table.sort_index().to_dict()
    assert (table == 0).any() and (table > 0).any()
    split = pd.read_csv(finished / "train/split/drawn.tsv", sep="\t")
    assert set(split["micrograph"]) == set(table.index) and set(split["part"]) == {"train"}


def test_labels_are_the_truth_and_coordinates_are_on_particles(finished):
    coordinates = read_coordinates_star(finished / "train/coordinates/0.star")
    for path in sorted((finished / "train/simulation").glob("0*.h5")):
        for name in array_names(path, "truth"):
            label = read_array(finished / "train/labels" / path.name, "label", name)
            assert label.pixel_size == 6 and label.data.shape == (128, 160)
            np.testing.assert_array_equal(label.data, read_array(path, "truth", name).data)
            own = coordinates[coordinates["micrograph"] == name]
            if len(own):
                rows, columns = (own[axis].round().astype(int).clip(0, n - 1) for axis, n in (("y", 128), ("x", 160)))
                # a ball or a shell is labelled in its middle
                assert (label.data[rows, columns] == 1).mean() > 0.9
