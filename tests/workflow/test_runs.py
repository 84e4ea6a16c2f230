"""Runs of the whole chain on tiny simulated data: what is made, made again, and made the same."""

import ast
import copy
import json
import modulefinder
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import jsonschema
import mrcfile
import numpy as np
import pandas as pd
import psutil
import pytest
import starfile
import yaml

from crisp_core.evaluation.summaries import schema_text
from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.picking.spacing import n_duplicates

from .conftest import TINY, copy_workflow, run_snakemake, write_config
from .loaded import read_rules

pytestmark = pytest.mark.slow

RESULTS = Path("results/tiny")
# times are in it
NOT_REPEATED = re.compile(r"performance/|seconds|report\.html|report_entry\.json")


def planned(folder, *arguments):
    """Names of the rules that a dry run would execute."""
    output = run_snakemake("-n", "--configfile", "tiny.yaml", *arguments, cwd=folder).stdout
    return {line.split()[0] for line in re.findall(r"^(\w+ +\d+)$", output, re.M)} - {"total"}


def contents(folder):
    """Bytes of every result that must repeat itself; histories without their times."""
    files = {}
    for path in sorted((folder / "results").rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not NOT_REPEATED.search(name):
            files[name] = path.read_bytes()
    for name in [name for name in files if name.endswith("history.tsv")]:
        files[name] = history_without_times(folder / name)
    return files


def history_without_times(path):
    history = pd.read_csv(path, sep="\t")
    return history[[column for column in history if "seconds" not in column]].to_csv()


def test_every_stage_leaves_its_result(tiny_run):
    made = {str(path.relative_to(tiny_run / RESULTS)) for path in (tiny_run / RESULTS).rglob("*")}
    for name in [
        "micrographs.tsv",
        "images/0001.h5",
        "labels/0001.h5",
        "coordinates.star",
        "split.tsv",
        "quarantine.tsv",
        "small/quarantine.tsv",
        "small/report.html",
        "small/network.pt",
        "small/history.tsv",
        "small/probability/0001.h5",
        "small/search.tsv",
        "small/centers.yaml",
        "small/picks/0001.star",
        "small/autopick.star",
        "small/particles/0001.mrcs",
        "small/particles.star",
        "small/metrics/pixels.tsv",
        "small/metrics/picks.tsv",
        "small/metrics/calibration.tsv",
        "small/dropped.tsv",
        "small/dropped.star",
        "small/plots/training.png",
        "small/plots/search.png",
        "small/plots/calibration.png",
    ]:
        assert name in made
    assert len(list((tiny_run / RESULTS / "small/plots/overlays").glob("*.png"))) == 2


def test_the_tables_have_the_agreed_columns(tiny_run):
    pixels = pd.read_csv(tiny_run / RESULTS / "small/metrics/pixels.tsv", sep="\t")
    picks = pd.read_csv(tiny_run / RESULTS / "small/metrics/picks.tsv", sep="\t")
    history = pd.read_csv(tiny_run / RESULTS / "small/history.tsv", sep="\t")
    assert list(pixels)[:7] == ["part", "micrograph", "iou", "precision", "recall", "accuracy", "f1"]
    wanted = "part micrograph n_truth n_picks n_matched precision recall f1 f1_low f1_high auprc ap map_paper"
    assert list(picks)[:15] == [*wanted.split(), "median_error_angstrom", "duplicates"]
    assert {"epoch", "train_loss", "validation_loss", "validation_iou", "learning_rate", "seconds"} <= set(history)
    assert pixels.query("micrograph == 'all'")["part"].tolist() == ["train", "validation", "test"]


def test_stars_and_stacks_belong_together(tiny_run):
    star = starfile.read(tiny_run / RESULTS / "small/particles.star", always_dict=True)
    particles, optics = star["particles"], star["optics"]
    for stack, rows in particles.groupby(particles["rlnImageName"].str.split("@").str[1]):
        with mrcfile.open(tiny_run / stack) as mrc:
            assert len(np.atleast_3d(mrc.data)) == len(rows)
            assert mrc.data.shape[-1] == optics["rlnImageSize"].item()
            assert mrc.voxel_size.x == pytest.approx(optics["rlnImagePixelSize"].item(), rel=1e-5)
    index = starfile.read(tiny_run / RESULTS / "small/autopick.star")
    assert len(index) == 5
    for row in index.itertuples():
        assert (tiny_run / row.rlnMicrographName).is_file()
        assert (tiny_run / row.rlnMicrographCoordinates).is_file()
    n_picks = sum(len(rows) for rows in map(read_picks, sorted((tiny_run / RESULTS / "small/picks").glob("*.star"))))
    dropped = pd.concat([pd.read_csv(p, sep="\t") for p in (tiny_run / RESULTS).rglob("*-dropped.tsv")])
    assert n_picks == len(particles) + len(dropped)


def test_every_micrograph_has_its_files_for_pipelines(tiny_run):
    names = pd.read_csv(tiny_run / RESULTS / "micrographs.tsv", sep="\t")["micrograph"]
    picks = pd.concat(map(read_coordinates_star, sorted((tiny_run / RESULTS / "small/picks").glob("*.star"))))
    assert n_duplicates(picks, diameter_px=180 / 7.08) == 0
    for name in names:
        own = picks[picks["micrograph"] == name]
        summary = json.loads((tiny_run / RESULTS / f"small/summaries/{name}.json").read_text())
        jsonschema.validate(summary, json.loads(schema_text()))
        assert summary["n_picks"] == len(own) and summary["verdict"] in ("good", "doubtful", "bad")
        np.testing.assert_allclose(summary["picks"]["x"], own["x"], rtol=1e-5)
        boxes = read_coordinates(tiny_run / RESULTS / f"small/cbox/{name}.cbox")
        np.testing.assert_allclose(boxes[["x", "y"]], own[["x", "y"]], rtol=1e-5)


def test_every_pick_has_the_precision_to_expect_of_its_score(tiny_run):
    knots = yaml.safe_load((tiny_run / RESULTS / "small/centers.yaml").read_text())["calibration"]
    for kind in ("candidates", "picks"):
        table = pd.concat(map(read_picks, sorted((tiny_run / RESULTS / "small" / kind).glob("*.star"))))
        expected = np.interp(table["rlnAutopickFigureOfMerit"], knots["score"], knots["precision"])
        np.testing.assert_allclose(table["expected_precision"], expected, atol=1e-6)
    viewed = json.loads((tiny_run / RESULTS / "small/report.json").read_text())["viewer"]["micrographs"]
    assert all(len(one["candidates"]["expected_precision"]) == len(one["candidates"]["x"]) for one in viewed)
    # what RELION and cryoSPARC read has their own columns alone
    for name in ("particles.star", "coordinates_only.star", "autopick.star"):
        assert "expected_precision" not in (tiny_run / RESULTS / "small" / name).read_text()
    assert not any("expected" in path.read_text() for path in (tiny_run / RESULTS / "small/autopick").glob("*.star"))


def read_picks(path):
    return starfile.read(path, always_dict=True)["particles"]


def test_snakemakes_own_report_holds_the_main_results(tiny_run, tmp_path):
    path = tmp_path / "report.html"
    run_snakemake("--configfile", "tiny.yaml", "--report", str(path), cwd=tiny_run)
    report = path.read_text()
    for text in ("overlays", "training.png", "picks.tsv", "quarantine"):
        assert text in report


def test_a_second_run_has_nothing_to_do(tiny_run):
    assert planned(tiny_run) == set()


def test_one_target_can_be_made_again_by_name(tiny_run):
    target = RESULTS / "small/picks/0001.star"
    before = (tiny_run / target).read_bytes()
    (tiny_run / target).unlink()
    run_snakemake(str(target), "--cores", "2", "--configfile", "tiny.yaml", cwd=tiny_run)
    assert (tiny_run / target).read_bytes() == before


def test_rewording_the_library_reruns_nothing(tiny_run):
    texts = {path: path.read_text() for path in (tiny_run / "crisp_core").rglob("*.py")}
    star = tiny_run / "crisp_core/formats/star.py"
    docstring = ast.get_docstring(ast.parse(texts[star]), clean=False)
    try:
        for path, text in texts.items():
            path.write_text(text.replace(docstring, "Reworded.") + "\n# a comment\n")
        assert planned(tiny_run) == set()
    finally:
        for path, text in texts.items():
            path.write_text(text)


@pytest.fixture(scope="module")
def depending_rules(tiny_run):
    """For every rule of the finished run, the rules that take its results."""
    dot = run_snakemake("--rulegraph", "--forceall", "--configfile", "tiny.yaml", cwd=tiny_run).stdout
    names = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)"', dot, re.M))
    users = {name: set() for name in names.values()}
    for source, target in re.findall(r"^\s*(\d+) -> (\d+)", dot, re.M):
        users[names[source]].add(names[target])
    assert users["train"] >= {"predict"}
    return users


@pytest.fixture(scope="module")
def imported_modules(tiny_run):
    """For every rule, the modules that its script imports, directly or through others: by Python's own reading."""
    found = {}
    for rule, facts in read_rules().items():
        finder = modulefinder.ModuleFinder(path=[str(tiny_run)])
        finder.run_script(str(tiny_run / f"workflow_scripts/{facts['script']}.py"))
        found[rule] = set(finder.modules)
    return found


@pytest.mark.parametrize(
    ("module", "constant", "changed"),
    [
        ("formats.text", 'FLOAT_FORMAT = "%.9g"', 'FLOAT_FORMAT = "%.8g"'),
        ("figures.style", "DOTS_PER_INCH = 130", "DOTS_PER_INCH = 131"),
        ("particles.background", "IMAGES_PER_STEP = 8", "IMAGES_PER_STEP = 9"),
        ("picking.finders.crocker_grier", "REFINEMENTS = 5", "REFINEMENTS = 6"),
    ],
)
def test_a_changed_constant_reruns_what_uses_it_and_nothing_else(
    tiny_run, depending_rules, imported_modules, module, constant, changed
):
    path = tiny_run / "crisp_core" / f"{module.replace('.', '/')}.py"
    todo = {rule for rule in depending_rules if f"crisp_core.{module}" in imported_modules.get(rule, ())}
    expected = set()
    while todo:
        expected.add(rule := todo.pop())
        todo |= depending_rules[rule] - expected
    text = path.read_text()
    assert f"\n{constant}\n" in text
    try:
        path.write_text(text.replace(constant, changed))
        assert planned(tiny_run) == expected
    finally:
        path.write_text(text)
    assert expected < depending_rules.keys()


def test_two_configs_in_one_folder_leave_each_other_up_to_date(tiny_run, tmp_path):
    """Each run has its page; the index lists all; a strict check belongs to its run."""
    folder = tmp_path / "both"
    shutil.copytree(tiny_run, folder, symlinks=True)
    reused = {"trained": "results/tiny/small", "prediction": TINY["experiments"]["small"]["prediction"]}
    other = TINY | {"run": ["tiny/reused"], "experiments": {"reused": reused}, "strict": True}
    write_config(folder / "other.yaml", other)
    page = folder / RESULTS / "small/report.html"
    before = page.stat().st_mtime_ns
    run_snakemake("--cores", "2", "--configfile", "other.yaml", cwd=folder)
    assert page.stat().st_mtime_ns == before and (folder / RESULTS / "reused/report.html").is_file()
    index = (folder / "results/report.html").read_text()
    assert [f'href="tiny/{name}/report.html"' in index for name in ("reused", "small")] == [True, True]
    assert (folder / RESULTS / "reused/strict.txt").is_file()
    for name in ("tiny", "other"):
        assert "Nothing to be done" in run_snakemake("-n", "--configfile", f"{name}.yaml", cwd=folder).stdout
    # a page that is gone leaves the index
    shutil.rmtree(folder / RESULTS / "reused")
    run_snakemake("--cores", "2", "--configfile", "tiny.yaml", cwd=folder)
    assert "tiny/reused" not in (folder / "results/report.html").read_text()


def test_a_newer_script_reruns_its_rule(tiny_run):
    """Snakemake judges scripts by their time, so that even a comment counts."""
    path = tiny_run / "workflow_scripts/report_page.py"
    before = path.stat()
    path.touch()
    try:
        assert planned(tiny_run) == {"report_page", "report_index", "all"}
        assert planned(tiny_run, "--rerun-triggers", "mtime", "params", "input", "software-env") == set()
    finally:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_changed_setting_reruns_what_uses_it(tiny_run):
    changed = copy.deepcopy(TINY)
    changed["experiments"]["small"]["particles"] = {"box_angstrom": 400}
    write_config(tiny_run / "changed.yaml", changed)
    output = run_snakemake("-n", "--configfile", "changed.yaml", cwd=tiny_run).stdout
    assert "rule extract" in output and "rule train" not in output


def test_the_same_config_gives_the_same_files(tiny_run, tmp_path):
    again = copy_workflow(tmp_path / "again")
    write_config(again / "tiny.yaml", TINY)
    # quick processes have the same hash seed and imports
    run_snakemake("--cores", "2", "--configfile", "tiny.yaml", cwd=again, python=sys.executable)
    assert contents(again) == contents(tiny_run)


def test_the_batch_size_changes_no_result(tiny_run, tmp_path):
    one = copy_workflow(tmp_path / "one")
    write_config(one / "tiny.yaml", TINY | {"micrographs_per_job": 1})
    run_snakemake("--cores", "2", "--configfile", "tiny.yaml", cwd=one)
    mine, other = contents(one), contents(tiny_run)
    # what is not one file per batch is byte for byte the same; stack names aside, so are the particles
    whole = {
        name
        for name in other
        if not re.search(r"/\d{4}(-dr\w+)?\.\w+$|prepare-|/particles\.star|(micrographs|batches|names)\.tsv", name)
    }
    assert len(whole) > 25
    assert {name: mine[name] for name in whole} == {name: other[name] for name in whole}
    stacks = [
        np.concatenate([mrcfile.read(path) for path in sorted((folder / RESULTS / "small/particles").glob("*.mrcs"))])
        for folder in (one, tiny_run)
    ]
    np.testing.assert_array_equal(*stacks)


def test_a_trained_network_picks_micrographs_without_coordinates(tiny_run, tmp_path):
    folder = copy_workflow(tmp_path / "new")
    trained = tiny_run / RESULTS / "small"
    config = {
        "run": ["new/reuse"],
        "datasets": {
            "new": {
                "micrographs": str(tiny_run / RESULTS / "micrographs/*.mrc"),
                "pixel_size": 7.08,
                "particle_diameter_angstrom": 180,
            }
        },
        "experiments": {"reuse": {"trained": str(trained), "prediction": TINY["experiments"]["small"]["prediction"]}},
    }
    write_config(folder / "new.yaml", config)
    output = run_snakemake("--cores", "2", "--configfile", "new.yaml", cwd=folder).stdout
    assert "rule train:" not in output
    for path in sorted((trained / "autopick").glob("*.star")):
        assert (folder / "results/new/reuse/autopick" / path.name).read_bytes() == path.read_bytes()


def test_an_earlier_runs_network_is_used_as_it_is(tiny_run):
    new = {"micrographs": "results/tiny/micrographs/*.mrc", "pixel_size": 7.08, "particle_diameter_angstrom": 180}
    config = {
        "run": ["new/reuse"],
        "datasets": {"new": new},
        "experiments": {"reuse": {"trained": "results/tiny/small", "centers": {"threshold": 0.9}}},
    }
    write_config(tiny_run / "reuse.yaml", config)
    output = run_snakemake("-n", "--configfile", "reuse.yaml", cwd=tiny_run).stdout
    assert "rule predict" in output and "rule train" not in output and "rule search_centers" not in output


def test_what_costs_only_time_or_memory_trains_nothing_again(tiny_run):
    config = copy.deepcopy(TINY)
    small = config["experiments"]["small"]
    small["training"]["workers"], small["prediction"]["tiles_per_step"] = 1, 1
    write_config(tiny_run / "slower.yaml", config)
    output = run_snakemake("-n", "--configfile", "slower.yaml", cwd=tiny_run).stdout
    assert "rule predict:" in output and "rule train:" not in output


def test_an_absolute_path_into_this_run_waits_for_its_network(tiny_run):
    config = copy.deepcopy(TINY)
    config["run"].append("tiny/again")
    config["experiments"]["again"] = {"trained": str(tiny_run / "results/tiny/small")}
    write_config(tiny_run / "again.yaml", config)
    target = "results/tiny/again/probability/0000.h5"
    output = run_snakemake("-n", target, "-R", "train", "--configfile", "again.yaml", cwd=tiny_run).stdout
    inputs = output.split("rule predict:")[1].splitlines()[1]
    assert "results/tiny/small/network.pt" in inputs and str(tiny_run) not in inputs


def test_a_search_on_labels_still_takes_its_threshold_from_predictions(tiny_run):
    predicted = yaml.safe_load((tiny_run / RESULTS / "small/centers.yaml").read_text())
    config = copy.deepcopy(TINY)
    config["experiments"]["small"]["centers"] = {"maps": "labels"}
    write_config(tiny_run / "masks.yaml", config)
    target = RESULTS / "small/centers.yaml"
    run_snakemake(str(target), "--cores", "2", "--configfile", "masks.yaml", cwd=tiny_run)
    rows = pd.read_csv(tiny_run / RESULTS / "small/search.tsv", sep="\t")
    chosen = yaml.safe_load((tiny_run / target).read_text())
    assert rows["ap"].max() > 0.5 and rows["f1"].max() > 0.9
    # the two epochs' network is far less sure than a label
    assert chosen["threshold"] < rows["threshold"].min()
    assert chosen["expected_precision"] <= 1
    run_snakemake(str(target), "--cores", "2", "--configfile", "tiny.yaml", cwd=tiny_run)
    assert yaml.safe_load((tiny_run / target).read_text()) == predicted


def test_picks_that_a_rule_removes_are_counted(tiny_run):
    config = copy.deepcopy(TINY) | {"run": ["tiny/edge"]}
    config["experiments"]["edge"] = {"trained": "results/tiny/small", "removal": {"edge": True, "rank": "size"}}
    write_config(tiny_run / "edge.yaml", config)
    targets = [f"results/tiny/edge/{name}" for name in ("dropped.tsv", "particles.star")]
    run_snakemake(*targets, "--cores", "2", "--configfile", "edge.yaml", cwd=tiny_run)
    counts = pd.read_csv(tiny_run / "results/tiny/edge/dropped.tsv", sep="\t")
    assert set(counts["reason"]) == {"edge"} and set(counts["stage"]) == {"picking"}
    boxes = starfile.read(tiny_run / "results/tiny/edge/particles.star", always_dict=True)
    n_before = len(starfile.read(tiny_run / RESULTS / "small/particles.star", always_dict=True)["particles"])
    assert len(boxes["particles"]) + counts["n_picks"].sum() == n_before
    listed = read_coordinates_star(tiny_run / "results/tiny/edge/dropped.star")
    assert listed["crispReason"].tolist() == ["edge"] * counts["n_picks"].sum()
    assert boxes["particles"]["crispDiameterAngstrom"].is_monotonic_decreasing
    half = boxes["optics"]["rlnImageSize"].item() // 2
    assert (boxes["particles"]["rlnCoordinateX"].astype(int) >= half).all()


def test_a_table_compares_experiments_and_trains_equal_networks_once(tiny_run):
    config = copy.deepcopy(TINY)
    config["experiments"]["turned"] = {"extend": "small", "prediction": {"turns": True}}
    config["tables"] = {"turns": {"rows": ["small", "turned"], "seeds": [1]}}
    write_config(tiny_run / "table.yaml", config)
    targets = [f"results/tiny/tables/turns.{suffix}" for suffix in ("tsv", "png")]
    output = run_snakemake(*targets, "--cores", "2", "--configfile", "table.yaml", cwd=tiny_run).stdout
    assert "rule train:" not in output and "rule predict:" in output
    table = pd.read_csv(tiny_run / targets[0], sep="\t")
    assert table["seed"].tolist() == ["1", "1", "mean", "mean", "sd", "sd"]
    assert table["n_parameters"].iloc[0] == table["n_parameters"].iloc[1] > 1e5
    assert (table["train_seconds"].iloc[:4] > 1).all()
    scores = pd.read_csv(tiny_run / RESULTS / "small/metrics/picks.tsv", sep="\t").query("part == 'test'")
    assert table["pick_f1"].iloc[0] == scores.set_index("micrograph").loc["all", "f1"]


def test_names_lose_all_of_their_suffixes(tiny_run, tmp_path):
    folder = copy_workflow(tmp_path / "suffixes")
    source = sorted((tiny_run / RESULTS / "micrographs").glob("*.mrc"))[0]
    (folder / "mic_fractions.tif.mrc").symlink_to(source)
    new = {"micrographs": "*.mrc", "pixel_size": 7.08, "particle_diameter_angstrom": 180}
    trained = {"trained": str(tiny_run / RESULTS / "small")}
    config = {"run": ["new/reuse"], "datasets": {"new": new}, "experiments": {"reuse": trained}}
    write_config(folder / "new.yaml", config)
    targets = ["results/new/reuse/particles.star", "results/new/micrographs.tsv"]
    run_snakemake(*targets, "--cores", "2", "--configfile", "new.yaml", cwd=folder)
    table = pd.read_csv(folder / "results/new/micrographs.tsv", sep="\t")
    assert table["micrograph"].tolist() == ["mic_fractions"]


def test_a_simulated_micrograph_without_a_threshold_has_no_label_and_the_others_have(tiny_run, tmp_path):
    folder = Path(shutil.copytree(tiny_run, tmp_path / "crisp", symlinks=True))
    labels = folder / RESULTS / "labels/0000.h5"
    first, *others = array_names(labels, "label")
    with h5py.File(folder / RESULTS / "simulation/0000.h5", "r+") as file:
        file[f"ctf_free/{first}"][5, 5] = np.nan
    config = copy.deepcopy(TINY)
    config["datasets"]["tiny"]["simulation"]["threshold"] = "otsu"
    write_config(folder / "tiny.yaml", config)
    targets = [f"{RESULTS}/labels/0000.h5", f"{RESULTS}/quarantine.tsv"]
    arguments = ("--forcerun", "label_simulated", "--allowed-rules", "label_simulated", "quarantine", "--cores", "1")
    run_snakemake(*targets, *arguments, "--configfile", "tiny.yaml", cwd=folder)
    assert array_names(labels, "label") == others
    (refused,) = pd.read_csv(folder / RESULTS / "quarantine.tsv", sep="\t").itertuples()
    assert refused.stage == "label" and refused.path == f"{RESULTS}/simulation/0000.h5"
    assert refused.reason.startswith(f"{first}: has no label; threshold: otsu fails ")


def test_bad_files_are_quarantined_and_the_others_finish(tiny_run, tmp_path):
    folder = copy_workflow(tmp_path / "bad")
    raw = folder / "raw [A]"
    raw.mkdir()
    good = sorted((tiny_run / RESULTS / "micrographs").glob("*.mrc"))
    for path in good:
        (raw / path.name).write_bytes(path.read_bytes())
        # what other programs write beside it: the same particles again, and none
        (raw / f"{path.stem}_noDW.mrc").write_bytes(path.read_bytes())
        write_mrc(raw / f"{path.stem}_PS.mrc", np.eye(64, dtype=np.float32), pixel_size=7.08, dtype="float32")
    data = good[0].read_bytes()
    (raw / "truncated.mrc").write_bytes(data[:5000])
    (raw / "empty.mrc").write_bytes(b"")
    (raw / "text.mrc").write_bytes(b"this is no micrograph" * 100)
    image = np.frombuffer(data[1024:], np.float32).copy()
    image[7] = np.nan
    (raw / "nan.mrc").write_bytes(data[:1024] + image.tobytes())
    coordinates = folder / "coordinates"
    coordinates.mkdir()
    truth = read_picks(tiny_run / RESULTS / "coordinates.star")
    for name, rows in truth.groupby("rlnMicrographName"):
        table = pd.DataFrame({"x": rows["rlnCoordinateX"], "y": rows["rlnCoordinateY"]})
        table.to_csv(coordinates / f"{name}.csv", index=False)
    broken = coordinates / f"{good[4].stem}.csv"
    broken.write_text(broken.read_text() + "12,many\n")
    (coordinates / "stranger.csv").write_text("x,y\n1,2\n")
    config = copy.deepcopy(TINY)
    config["datasets"] = {
        "tiny": {
            "micrographs": ["raw [A]/*.mrc", "raw [A]/missing.mrc"],
            "coordinates": {"files": "coordinates/*.csv", "origin": "top-left"},
            "pixel_size": 7.08,
            "particle_diameter_angstrom": 180,
            "split": {"train": 2, "validation": 1, "test": 1},
        }
    }
    write_config(folder / "tiny.yaml", config)
    run_snakemake("--cores", "2", "--configfile", "tiny.yaml", cwd=folder)
    refused = pd.read_csv(folder / RESULTS / "quarantine.tsv", sep="\t")
    reasons = {Path(row.path).name: row.reason for row in refused.itertuples()}
    assert set(reasons) == {
        "truncated.mrc",
        "empty.mrc",
        "text.mrc",
        "nan.mrc",
        "missing.mrc",
        broken.name,
        "stranger.csv",
    }
    assert "no micrograph is called stranger, the nearest name is " in reasons["stranger.csv"]
    assert "line" in reasons[broken.name] and "many" in reasons[broken.name]
    n_micrographs = len(pd.read_csv(folder / RESULTS / "micrographs.tsv", sep="\t"))
    assert n_micrographs + refused["stage"].eq("prepare").sum() == len(good) + 5
    names = pd.read_csv(folder / RESULTS / "coordinate_names.tsv", sep="\t", keep_default_na=False)
    assert names.loc[names["micrograph"] == "", "name"].tolist() == ["stranger"]
    # the micrograph whose coordinates were refused is picked all the same
    assert (folder / RESULTS / f"small/autopick/{good[4].stem}_autopick.star").is_file()
    left_out = pd.read_csv(folder / RESULTS / "left_out.tsv", sep="\t")
    twins = {f"raw [A]/{path.stem}{ending}.mrc" for path in good for ending in ("_noDW", "_PS")}
    assert (
        set(left_out["path"]) == twins
        and f"{good[0].stem}_noDW.mrc" in (folder / RESULTS / "small/report.html").read_text()
    )
    # a file that is named by its exact path is picked; a pattern without a file, and a folder, end the call
    insisted = f"raw [A]/{good[0].stem}_noDW.mrc"
    for patterns, expected in (
        (["raw [A]/*.mrc", insisted], "results/tiny/images/0004.h5"),
        (["raw [A]/*.mrc", "rav [A]/*.mrc"], "micrographs: no file matches rav [A]/*.mrc; correct it or remove it"),
        ("raw [A]", "micrographs: raw [A] is a folder; name its files, such as raw [A]/*"),
    ):
        config["datasets"]["tiny"]["micrographs"] = patterns
        write_config(folder / "tiny.yaml", config)
        assert expected in run_snakemake("-n", "--configfile", "tiny.yaml", cwd=folder, check=False).stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"experiments": {"small": {"network": {"encoder": "nosuch"}}}}, "'nosuch'"),
        ({"datasets": {"tiny": {"split": {"train": 20}}}}, "asks for 23 micrographs, the simulation makes 5"),
        ({"datasets": {"tiny": {"simulation": {"n_particles": [900, 900]}}}}, "particles"),
    ],
)
def test_an_impossible_setting_ends_in_one_line(change, message, tmp_path):
    folder = copy_workflow(tmp_path / "wrong")
    write_config(folder / "tiny.yaml", TINY)
    write_config(folder / "change.yaml", change)
    arguments = ("--cores", "2", "--configfile", "tiny.yaml", "change.yaml")
    done = run_snakemake(*arguments, cwd=folder, check=False)
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if "error: " in line]
    assert lines and re.search(message, lines[0])
    assert "Traceback" not in done.stdout


def test_a_wrong_key_ends_in_one_line_before_anything_runs(tmp_path):
    folder = copy_workflow(tmp_path / "wrong")
    write_config(folder / "tiny.yaml", TINY | {"sead": 1})
    done = run_snakemake("--cores", "1", "--configfile", "tiny.yaml", cwd=folder, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("error: config, top level: unknown key 'sead'; known are")
    assert not (folder / "results").exists()


@pytest.mark.real
def test_an_own_density_map_is_one_line(shared_data, tmp_path):
    folder = copy_workflow(tmp_path / "map")
    write_config(folder / "tiny.yaml", TINY)
    volume = {"volume": str(shared_data / "maps/sim_5a1a_bgal_D2_3.54A_80.mrc")}
    write_config(folder / "volume.yaml", {"datasets": {"tiny": {"simulation": volume}}})
    target = "results/tiny/labels/0000.h5"
    run_snakemake(target, "--cores", "2", "--configfile", "tiny.yaml", "volume.yaml", cwd=folder)
    truth = read_picks(folder / "results/tiny/simulation/0000.star")
    n_truth = truth["rlnMicrographName"].map(lambda path: Path(path).stem).value_counts()
    for name in array_names(folder / target, "label"):
        label = read_array(folder / target, "label", name).data
        # a projection of the tetramer covers 90–180 Å × 130–180 Å
        area = label.sum() * 7.08**2 / n_truth[name]
        assert 8_000 < area < 30_000


def kill_training(folder, target, *arguments):
    """Run the workflow until the training has written its state, and kill the training alone."""
    command = [sys.executable, "-m", "snakemake", target, "--cores", "2", *arguments]
    run = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / RESULTS / "small/training/last.pt").exists():
        assert run.poll() is None, "the training ended before it could be killed"
        time.sleep(0.01)
    for process in psutil.Process(run.pid).children(recursive=True):
        if any("train.py" in part for part in process.cmdline()):
            process.kill()
    assert run.wait() == 1


def test_a_killed_training_goes_on_and_ends_as_an_undisturbed_one(tiny_run, tmp_path):
    folder = tmp_path / "killed"
    shutil.copytree(tiny_run, folder, symlinks=True)
    config = copy.deepcopy(TINY)
    config["experiments"]["small"]["training"]["epochs"] = 12
    write_config(folder / "longer.yaml", config)
    network, arguments = RESULTS / "small/network.pt", ("--configfile", "longer.yaml")
    kill_training(folder, str(network), *arguments)
    assert not (folder / network).exists()
    run_snakemake(str(network), "--cores", "2", *arguments, cwd=folder)
    assert "training continues after epoch" in (folder / "logs/tiny/small/train.log").read_text()
    assert not (folder / RESULTS / "small/training").exists()
    resumed = (folder / network).read_bytes(), history_without_times(folder / RESULTS / "small/history.tsv")
    run_snakemake(str(network), "-f", "--cores", "2", *arguments, cwd=folder)
    assert "training goes on" not in (folder / "logs/tiny/small/train.log").read_text()
    assert resumed == ((folder / network).read_bytes(), history_without_times(folder / RESULTS / "small/history.tsv"))


def test_a_crf_and_its_control_start_from_the_network_and_predict(tiny_run):
    crf = {"epochs": 1, "alpha_diameters": 0.8, "network_learning_rate": 1e-4, "crf_learning_rate": 1e-2}
    config = copy.deepcopy(TINY)
    config["experiments"]["control"] = {"extend": "small", "crf": {"type": "control", **crf}}
    config["experiments"]["logits"] = {"extend": "control", "crf": {"type": "logits"}}
    config["experiments"]["turned"] = {"extend": "logits", "prediction": {"turns": True}}
    config["experiments"]["again"] = {"trained": "results/tiny/logits"}
    config["tables"] = {"crf": {"rows": ["small", "control", "logits"], "seeds": [1]}}
    write_config(tiny_run / "crf.yaml", config)
    target, histograms = RESULTS / "tables/crf.tsv", RESULTS / "tables/crf/histograms.png"
    arguments = ("--cores", "2", "--configfile", "crf.yaml")
    picture = RESULTS / "logits/plots/crf.png"
    output = run_snakemake(str(target), str(histograms), str(picture), *arguments, cwd=tiny_run).stdout
    assert (tiny_run / histograms).is_file() and (tiny_run / picture).is_file()
    assert "rule train:" not in output and output.count("rule train_crf:") == 2
    small, control, logits = (tiny_run / RESULTS / name for name in ("small", "control", "logits"))
    for folder in (control, logits):
        assert not (folder / "network.pt").exists() and not (folder / "training").exists()
        assert len(pd.read_csv(folder / "history_crf.tsv", sep="\t")) == 2
    table = pd.read_csv(tiny_run / target, sep="\t").query("seed == '1'").set_index("experiment")
    assert list(table.index) == ["small", "control", "logits"]
    assert (table["n_regions"] > 0).all() and table["n_labelled"].nunique() == 1
    parameters = table["n_parameters"]
    # two weights for each of two labels, and three bandwidths
    assert parameters["small"] == parameters["control"] == parameters["logits"] - 7
    assert table["train_crf_seconds"].isna().tolist() == [True, False, False]
    maps = [(folder / "probability/0000.h5").read_bytes() for folder in (small, control, logits)]
    assert len(set(maps)) == 3
    # what extends it takes its crf.pt, and so does what names its folder as trained
    for name in ("turned", "again"):
        plan = run_snakemake("-n", f"results/tiny/{name}/probability/0000.h5", *arguments, cwd=tiny_run).stdout
        assert "rule train" not in plan and "results/tiny/logits/crf.pt" in plan
    # a crf.pt that is left from before the config gave it up is not what the centres were searched with
    left = small / "crf.pt"
    left.write_bytes((logits / "crf.pt").read_bytes())
    config["experiments"]["again"]["trained"] = "./results/../results/tiny/small"
    config["run"] = ["tiny/again"]
    write_config(tiny_run / "crf.yaml", config)
    plan = run_snakemake("-n", "results/tiny/again/probability/0000.h5", *arguments, cwd=tiny_run).stdout
    left.unlink()
    assert "results/tiny/small/network.pt" in plan and "crf.pt" not in plan
