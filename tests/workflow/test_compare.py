"""Other pickers in the place of a network, and all of them side by side, on the tiny run's micrographs."""

import copy
import shutil

import numpy as np
import pandas as pd
import pytest
import starfile

from crisp_core.formats.relion_labels import SHAPE_LABELS

from .conftest import TINY, copy_workflow, run_snakemake, write_config

pytestmark = pytest.mark.slow

PICKERS = {
    # our own picks as if they were another program's
    "copied": {"picker": {"files": "copied/*.star", "format": "relion-particles", "origin": "top-left", "leak": True}},
    "partial": {"picker": {"files": "copied/0001.star", "format": "relion-particles", "origin": "top-left"}},
    "blobs": {"picker": {"program": "skimage-log"}, "removal": {"edge": True}},
}
COMPARISONS = {
    "three": {"dataset": "tiny", "entries": ["small", "copied", "blobs"]},
    "few": {"dataset": "tiny", "entries": ["copied", "partial"]},
}
TARGETS = ["results/tiny/blobs/particles.star", "results/tiny/blobs/dropped.tsv", "results/tiny/copied/autopick.star"]
TARGETS += [f"results/tiny/{name}/metrics/picks.tsv" for name in ("small", "copied", "blobs")]


def picks(folder, experiment):
    paths = sorted((folder / "results/tiny" / experiment / "picks").glob("*.star"))
    tables = [starfile.read(path, always_dict=True)["particles"] for path in paths]
    return pd.concat(tables, ignore_index=True)


def scores(folder, experiment):
    return pd.read_csv(folder / f"results/tiny/{experiment}/metrics/picks.tsv", sep="\t")


@pytest.fixture(scope="module")
def compared(tiny_run, tmp_path_factory):
    """A copy of the tiny run with other pickers beside it."""
    folder = tmp_path_factory.mktemp("compared") / "crisp"
    shutil.copytree(tiny_run, folder, symlinks=True)
    shutil.copytree(folder / "results/tiny/small/picks", folder / "copied")
    config = copy.deepcopy(TINY) | {"comparisons": COMPARISONS}
    config["experiments"] |= PICKERS
    write_config(folder / "compare.yaml", config)
    arguments = ["--cores", "2", "--configfile", "compare.yaml", "--rerun-triggers", "mtime", "--", "compare", *TARGETS]
    folder.joinpath("output.txt").write_text(run_snakemake(*arguments, cwd=folder).stdout)
    return folder


def test_nothing_of_ours_was_made_again(compared):
    output = (compared / "output.txt").read_text()
    assert "rule pick_with_program:" in output and "rule train:" not in output and "rule predict:" not in output


def test_picks_from_files_are_ours_again(compared):
    # those of the network also have their expected precision, size and shape
    own = picks(compared, "small").drop(columns=["expected_precision", *SHAPE_LABELS])
    pd.testing.assert_frame_equal(picks(compared, "copied"), own)
    # candidates below the threshold are not in the files; all else is equal
    columns = "part micrograph n_truth n_picks n_matched f1 f1_low duplicates median_error_angstrom f1_d4".split()
    pd.testing.assert_frame_equal(scores(compared, "copied")[columns], scores(compared, "small")[columns])


def test_the_table_scores_all_on_the_same_micrographs(compared):
    folder = compared / "results/tiny/comparisons/three"
    table = pd.read_csv(folder / "table.tsv", sep="\t").set_index("entry")
    assert table.index.tolist() == ["small", "copied", "blobs", "consensus"]
    assert table["kind"].tolist() == ["network", "files", "skimage-log", "at least 2 agree"]
    assert table["leak"].tolist() == ["no", "yes", "no", "yes"]
    assert table["threshold_from"].tolist()[:3] == ["validation", "published", "validation"]
    assert table.loc["small", "f1"] == table.loc["copied", "f1"]
    for name in ("small", "copied", "blobs"):
        own = scores(compared, name).query("part == 'test' and micrograph == 'all'").iloc[0]
        assert table.loc[name, "f1"] == own["f1"] and table.loc[name, "n_picks"] == own["n_picks"]
    assert table.loc[["small", "blobs"], "seconds_per_micrograph"].gt(0).all()
    assert np.isnan(table.loc["copied", "seconds_per_micrograph"])
    assert all((folder / name).stat().st_size > 5000 for name in ("pr.png", "overlap.png"))


def test_equal_picks_overlap_wholly_and_agree(compared):
    folder = compared / "results/tiny/comparisons/three"
    overlap = pd.read_csv(folder / "overlap.tsv", sep="\t", index_col="entry")
    assert overlap.loc["small", "copied"] == overlap.loc["copied", "small"] == 1
    agreed = starfile.read(folder / "consensus.star", always_dict=True)["particles"]
    split = pd.read_csv(compared / "results/tiny/split.tsv", sep="\t")
    test = split.loc[split["part"] == "test", "micrograph"]
    ours = picks(compared, "small")
    # two of the three are equal, so that all of theirs are agreed on
    assert len(agreed) >= ours["rlnMicrographName"].isin(test).sum()
    assert set(agreed["rlnMicrographName"]) <= set(test) and agreed["n_entries"].between(2, 3).all()


def test_a_picker_that_saw_less_leaves_the_rest_out_for_all(compared):
    table = pd.read_csv(compared / "results/tiny/comparisons/few/table.tsv", sep="\t").set_index("entry")
    named = pd.read_csv(compared / "results/tiny/partial/picked_names.tsv", sep="\t")["micrograph"]
    split = pd.read_csv(compared / "results/tiny/split.tsv", sep="\t").set_index("micrograph")["part"]
    assert set(table["n_micrographs"]) == {(split[named] == "test").sum()}
    assert table.loc["copied", "f1"] == table.loc["partial", "f1"]


def test_another_pickers_picks_become_particles(compared):
    particles = starfile.read(compared / "results/tiny/blobs/particles.star", always_dict=True)["particles"]
    dropped = pd.read_csv(compared / "results/tiny/blobs/dropped.tsv", sep="\t")
    assert 0 < len(particles) == len(picks(compared, "blobs"))
    assert dropped.query("reason == 'edge'").iloc[:, -1].sum() > 0
    index = starfile.read(compared / "results/tiny/copied/autopick.star")
    assert len(index) == 5


def test_a_second_call_has_nothing_to_do(compared):
    arguments = ["-n", "--configfile", "compare.yaml", "--rerun-triggers", "mtime", "--", "compare", *TARGETS]
    assert "Nothing to be done" in run_snakemake(*arguments, cwd=compared).stdout


def test_another_pickers_picks_train_a_network(compared, tmp_path):
    folder = copy_workflow(tmp_path / "new")
    results = compared / "results/tiny"
    dataset = {
        "micrographs": str(results / "micrographs/*.mrc"),
        "coordinates": {
            "files": str(results / "blobs/picks/*.star"),
            "format": "relion-particles",
            "origin": "top-left",
        },
        "pixel_size": 7.08,
        "particle_diameter_angstrom": 180,
        "split": {"train": 2, "validation": 1},
    }
    config = {"run": ["new/small"], "datasets": {"new": dataset}, "experiments": copy.deepcopy(TINY["experiments"])}
    config["experiments"]["small"]["training"]["epochs"] = 1
    write_config(folder / "new.yaml", config)
    targets = ["results/new/small/network.pt", "results/new/coordinate_names.tsv"]
    run_snakemake("--cores", "2", "--configfile", "new.yaml", "--", *targets, cwd=folder)
    names = pd.read_csv(folder / "results/new/coordinate_names.tsv", sep="\t")
    assert names["n_coordinates"].sum() == len(picks(compared, "blobs"))


def test_missing_files_of_picks_end_the_run_at_once(compared):
    config = copy.deepcopy(TINY) | {"comparisons": COMPARISONS}
    config["experiments"] |= copy.deepcopy(PICKERS)
    config["experiments"]["copied"]["picker"]["files"] = "nowhere/*.box"
    write_config(compared / "wrong.yaml", config)
    done = run_snakemake("-n", "--configfile", "wrong.yaml", "--", "compare", cwd=compared, check=False)
    assert done.returncode
    message = (
        "error: config, experiments/copied/picker/files: no file matches nowhere/*.box (there is no folder nowhere); "
    )
    assert message in done.stdout


def test_a_network_that_only_a_table_names_is_missed_at_once(compared):
    config = copy.deepcopy(TINY) | {"tables": {"both": {"rows": ["tiny/small", "tiny/gone"]}}}
    config["experiments"]["gone"] = {"trained": "results/nowhere/small"}
    write_config(compared / "gone.yaml", config)
    done = run_snakemake("-n", "--configfile", "gone.yaml", cwd=compared, check=False)
    assert done.returncode
    message = "error: config, experiments/gone/trained: results/nowhere/small holds no network.pt; name the folder"
    assert message in done.stdout
