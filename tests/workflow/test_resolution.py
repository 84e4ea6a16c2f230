"""The targets resolution and noise on the tiny run."""

import copy
import shutil

import mrcfile
import numpy as np
import pandas as pd
import pytest

from crisp_core.formats.arrays import read_array
from crisp_core.reconstruction.half_maps import choose_program

from .conftest import TINY, run_snakemake, write_config

RESULTS = "results/tiny/small"


@pytest.fixture(scope="module")
def made(tiny_run):
    """The two folders that the targets made; they are removed again, since other tests compare the whole run."""
    config = copy.deepcopy(TINY)
    config["experiments"]["small"]["resolution"] = {"part": "all", "seeds": [1], "false_shares": [0.5]}
    config["experiments"]["small"]["noise"] = {"side_px": 16, "threshold": 0.9, "margin_angstrom": 0}
    write_config(tiny_run / "resolution.yaml", config)
    run_snakemake("resolution", "noise", "--cores", "2", "--configfile", "resolution.yaml", cwd=tiny_run)
    yield tiny_run / RESULTS
    for name in ("resolution", "noise"):
        shutil.rmtree(tiny_run / RESULTS / name)


@pytest.mark.slow
def test_sets_of_equal_size_are_compared(made):
    table = pd.read_csv(made / "resolution/resolution.tsv", sep="\t")
    assert table["set"].tolist() == ["truth", "picks", "false-50"] * 3
    assert table["seed"].tolist() == ["1"] * 3 + ["mean"] * 3 + ["sd"] * 3
    one = table[table["seed"] == "1"].set_index("set")
    assert one["n_particles"].nunique() == 1
    assert one["program"].unique().tolist() == [choose_program(None)]
    assert one.loc["truth", "false_share"] == 0 and one.loc["false-50", "false_share"] == pytest.approx(0.5, abs=0.05)
    curves = pd.read_csv(made / "resolution/fsc.tsv", sep="\t").groupby("set")
    assert (
        curves.get_group("truth")["corrected"].iloc[1:4].mean()
        > curves.get_group("false-50")["masked"].iloc[4:8].mean()
    )
    assert (made / "resolution/fsc.png").stat().st_size > 10_000


@pytest.mark.slow
def test_half_maps_and_mask_open_elsewhere(made):
    maps = [mrcfile.read(made / f"resolution/{name}.mrc") for name in ("half1", "half2", "mask")]
    assert len({volume.shape for volume in maps}) == 1 and maps[0].ndim == 3
    assert maps[2].min() == 0 and maps[2].max() == 1 and 0.01 < maps[2].mean() < 0.8
    assert np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1] > 0.1


@pytest.mark.slow
def test_noise_patches_are_pixels_of_their_micrographs(made):
    patches = pd.read_csv(made / "noise/patches.tsv", sep="\t")
    assert len(patches) > 10
    number, path = patches["image"].iloc[-1].split("@")
    row = patches.iloc[-1]
    stack = mrcfile.read(made.parents[2] / path)
    batch = made.parent / "simulation" / path.split("/")[-1].replace("mrcs", "h5")
    image = read_array(batch, "image", row["micrograph"]).data
    np.testing.assert_array_equal(stack[int(number) - 1], image[row["y"] : row["y"] + 16, row["x"] : row["x"] + 16])
    micrographs = pd.read_csv(made / "noise/micrographs.tsv", sep="\t")
    assert len(micrographs) == 5 and micrographs["n_patches"].sum() == len(patches)
    spectra = pd.read_csv(made / "noise/spectra.tsv", sep="\t")
    assert spectra["micrograph"].iloc[-1] == "all" and spectra["n_patches"].iloc[-1] == len(patches)
    assert (made / "noise/spectra.png").is_file()


@pytest.mark.slow
def test_real_micrographs_need_refined_particles(tiny_run):
    new = {"micrographs": "results/tiny/micrographs/*.mrc", "pixel_size": 7.08, "particle_diameter_angstrom": 180}
    config = {"run": ["new/reuse"], "datasets": {"new": new}, "experiments": {"reuse": {"trained": RESULTS}}}
    write_config(tiny_run / "refined.yaml", config)
    done = run_snakemake("-n", "resolution", "--configfile", "refined.yaml", cwd=tiny_run, check=False)
    assert "error: config, experiments/reuse/resolution/refined: on real micrographs a resolution" in done.stdout
    assert done.returncode and "Traceback" not in done.stdout


@pytest.mark.slow
def test_an_empty_part_has_no_resolution(tiny_run):
    config = copy.deepcopy(TINY)
    config["datasets"]["tiny"]["split"]["test"] = 0
    write_config(tiny_run / "untested.yaml", config)
    done = run_snakemake("-n", "resolution", "--configfile", "untested.yaml", cwd=tiny_run, check=False)
    assert "error: config, experiments/small/resolution/part: the dataset's split leaves no" in done.stdout
    assert done.returncode and "Traceback" not in done.stdout


@pytest.mark.slow
def test_noise_is_sampled_where_a_network_called_background(tiny_run):
    config = copy.deepcopy(TINY)
    config["run"].append("tiny/blobs")
    config["experiments"]["blobs"] = {"picker": {"program": "skimage-log"}}
    write_config(tiny_run / "blobs.yaml", config)
    output = run_snakemake("-n", "noise", "--configfile", "blobs.yaml", cwd=tiny_run).stdout
    assert "small/noise/spectra.png" in output and "tiny/blobs" not in output
