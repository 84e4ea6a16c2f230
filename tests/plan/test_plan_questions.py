"""What the plan answers about datasets, pickers, reports, resolution and targets."""

import dataclasses
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from crisp_core.errors import UserError
from crisp_core.plan import checks, datasets, experiments, pickers, reports, resolution, targets

from .configs import MINE, plan

SIM = (("sim", "a", 0, 0), ("sim", "b", 1, 0), ("mine", "a", 0, 0))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def labelled(**labels):
    return {"mine": MINE | {"labels": labels}}


def test_outlines_take_the_users_poses_or_those_that_are_found():
    asked = plan(datasets=labelled(source="poses", poses="run_data.star", map="run.mrc", poses_origin="bottom-left"))
    mine = {"dataset": "mine"}
    assert datasets.outline_poses(asked, **mine, batch="0000") == ["run_data.star"]
    assert datasets.outline_map(asked, **mine) == ["run.mrc"]
    assert datasets.poses_frame(asked, **mine) == {"origin": "bottom-left", "subtract_origins": False}
    asked = plan(datasets=labelled(source="matching", map="emd.map"))
    assert datasets.outline_poses(asked, **mine, batch="0000") == ["results/mine/reconstruction/poses.star"]
    assert datasets.outline_map(asked, **mine) == ["results/mine/reconstruction/map.mrc"]
    assert datasets.initial_map(asked, **mine) == ["emd.map"]
    assert datasets.poses_frame(asked, **mine) == {"origin": "top-left"}
    assert asked.labels_come_from("matching", "relion") == ["mine"] and not asked.labels_come_from("disc")


def test_a_simulation_has_its_own_truth():
    asked = plan(SIM, run=["sim/unet"])
    sim = {"dataset": "sim"}
    assert datasets.simulation_truth(asked, **sim, batch="0001") == ["results/sim/simulation/0001.star"]
    assert datasets.coordinate_settings(asked, **sim) == {"format": "relion-particles", "origin": "top-left"}
    files = datasets.coordinate_files(asked, **sim, addition="0")
    assert files == ["results/sim/simulation/0000.star", "results/sim/simulation/0001.star"]
    assert datasets.stranger_files(asked, **sim) == []
    # neither more micrographs nor another label simulates anew
    settings = datasets.simulation_settings(asked, **sim)
    assert not {"n_micrographs", "threshold", "volume"} & settings.keys() and "snr" in settings
    assert datasets.volume_file(asked, **sim) == []


def test_coordinate_files_belong_to_the_addition_of_their_micrograph(folder):
    (folder / "raw").mkdir()
    for name in ("a", "c", "elsewhere"):
        (folder / f"raw/{name}.box").write_text("10 10 50 50\n")
    entry = MINE | {"coordinates": {"files": "raw/*.box", "origin": "top-left"}}
    asked = plan(datasets={"mine": entry})
    assert datasets.coordinate_files(asked, dataset="mine", addition="0") == ["raw/a.box"]
    assert datasets.coordinate_files(asked, dataset="mine", addition="1") == ["raw/c.box"]
    assert datasets.stranger_files(asked, dataset="mine") == ["raw/elsewhere.box"]


def test_radius_and_box_follow_from_the_dataset():
    asked = plan(datasets=labelled(disc_radius_angstrom=20), experiments={"edge": {"removal": {"edge": True}}})
    assert datasets.disc_radius_angstrom(asked, dataset="mine") == 20
    assert datasets.disc_radius_angstrom(plan(), dataset="mine") == 150 / 4
    sizes = {"pixel_size": 1.5, "diameter_angstrom": 150, "diameter_px": 100}
    assert datasets.dataset_sizes(asked, dataset="mine") == sizes
    microscope = {"voltage_kv": 300, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1}
    assert datasets.dataset_optics(asked, dataset="mine") == sizes | {"microscope": microscope}
    assert experiments.edge_box_px(asked, dataset="mine", experiment="unet") == 0
    assert experiments.edge_box_px(asked, dataset="mine", experiment="edge") == 150


def compared(**changes):
    picked = {"files": {"picker": {"files": "picks/*.box", "origin": "top-left", "leak": True, "threshold": 0.3}}}
    picked["topaz"] = {"picker": {"program": "topaz"}}
    picked["crf"] = {"extend": "unet", "crf": {"type": "control"}}
    comparisons = {"c": {"dataset": "mine", "entries": ["unet", "crf", "files", "topaz"]}}
    return plan(experiments=picked, comparisons=comparisons, **changes)


def test_a_comparison_says_where_thresholds_and_costs_come_from():
    asked, mine = compared(), {"dataset": "mine", "comparison": "c"}
    facts = pickers.entry_facts(asked, **mine)
    assert facts["files"] == {"kind": "files", "leak": "yes", "threshold_from": "0.3"}
    assert facts["unet"] == {"kind": "network", "leak": "no", "threshold_from": "validation"}
    jobs = pickers.entry_jobs(asked, **mine)
    assert jobs["crf"]["training"] == [("results/mine/unet", "train"), ("results/mine/crf", "train_crf")]
    topaz = [("results/mine/topaz", f"pick_with_program_on_gpu/topaz/000{batch}") for batch in range(3)]
    assert jobs["topaz"]["picking"] == topaz
    assert pickers.compared_names(asked, **mine) == ["results/mine/files/picked_names.tsv"]
    assert pickers.all_found(asked, dataset="mine", experiment="files") == ["results/mine/files/imported.star"]
    assert len(pickers.compared_stars(asked, "picks", **mine)) == 4 * 3


def test_a_shipped_threshold_is_not_one_of_the_validation_part():
    entries = {"named": {"network": "general"}}
    mine = {"mine": MINE | {"split": {"train": 0, "validation": 0}}}
    comparisons = {"c": {"dataset": "mine", "entries": ["named"], "consensus_at_least": 1}}
    asked = plan(run=["mine/named"], datasets=mine, experiments=entries, comparisons=comparisons)
    assert pickers.entry_facts(asked, dataset="mine", comparison="c")["named"]["threshold_from"] == "shipped"


def test_a_run_has_a_quarantine_of_its_own_and_a_dataset_none_of_its_runs():
    found = {"log": {"picker": {"program": "relion-log", "threshold": 0.1}}}
    found["blobs"] = {"picker": {"program": "skimage-log", "threshold": 0.1}}
    found["files"] = {"picker": {"files": "picks/*.box", "origin": "top-left", "leak": True, "threshold": 0.3}}
    found["never"] = {"picker": {"program": "topaz"}}
    runs = ["mine/unet", "mine/log", "mine/blobs", "mine/files", "sim/log"]
    asked = plan(SIM, run=runs, experiments=found)
    refused = {
        "unet": ["quarantine/predict-0000"],
        "log": ["quarantine/relion-log-0000"],
        "blobs": ["quarantine/skimage-log-0000"],
    }
    for name, tables in refused.items():
        expected = [f"results/mine/{name}/{table}.tsv" for table in tables]
        assert pickers.run_quarantine(asked, dataset="mine", experiment=name) == expected
    of_sim = [f"results/sim/log/quarantine/relion-log-{batch}.tsv" for batch in ("0000", "0001")]
    assert pickers.run_quarantine(asked, dataset="sim", experiment="log") == of_sim
    # the import of picks writes the quarantine and the notices of its run
    assert pickers.from_files(asked) == ["files"]
    shown = reports.report_input(asked, dataset="mine", experiment="files")
    assert shown["pick_notices"] == ["results/mine/files/notices.tsv"]
    assert datasets.coordinate_notices(asked, dataset="mine") == ["results/mine/coordinates/0-notices.tsv"]
    bare = plan((("bare", "x", 0, 0),), run=["bare/log"], experiments=found)
    assert datasets.coordinate_notices(bare, dataset="bare") == []
    # labels of simulations are thresholds, and may not be found; others come from coordinates
    assert datasets.label_quarantine(asked, dataset="mine") == []
    of_labels = [f"results/sim/labels/{batch}.tsv" for batch in ("0000", "0001")]
    assert datasets.label_quarantine(asked, dataset="sim") == of_labels


def test_the_report_reads_the_tables_of_labels_from_clicks():
    shown = reports.report_input(plan(datasets=labelled(source="clicks")), dataset="mine", experiment="unet")
    assert shown["clicks"] == [f"results/mine/labels/000{i}.tsv" for i in range(3)]
    assert "clicks" not in reports.report_input(plan(), dataset="mine", experiment="unet")


def test_the_report_of_a_picker_shows_no_network():
    asked = compared(run=["mine/topaz", "mine/unet"])
    shown = reports.report_input(asked, dataset="mine", experiment="topaz")
    assert "probability" not in shown and shown["threshold"] == ["results/mine/topaz/threshold.yaml"]
    assert reports.report_plots(asked, dataset="mine", experiment="topaz") == [
        "results/mine/topaz/plots/precision_recall.png"
    ]
    assert reports.report_run(asked, run="mine/topaz")["folders"] == ["results/mine", "results/mine/topaz"]
    assert reports.n_previews(asked, dataset="mine") == 3


def test_the_index_lists_the_runs_of_this_config_and_the_finished_ones_of_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run, names in {"old/unet": ("report.html", "report_entry.json"), "broken/unet": ("report_entry.json",)}.items():
        (tmp_path / "results" / run).mkdir(parents=True)
        for name in names:
            (tmp_path / "results" / run / name).touch()
    expected = [f"results/{run}/report_entry.json" for run in ("mine/unet", "old/unet")]
    assert reports.listed_entries(plan()) == expected
    # a module's other files are not below its prefix
    (tmp_path / "outer").mkdir()
    (tmp_path / "results").rename(tmp_path / "outer/results")
    assert reports.listed_entries(dataclasses.replace(plan(), prefix="outer/")) == expected[:1]


def test_only_a_searched_run_is_calibrated():
    found = {"log": {"picker": {"program": "relion-log", "threshold": 0.1}}}
    asked = plan(run=["mine/unet", "mine/log"], experiments=found)
    assert reports.calibrates(asked, "mine", "unet") and not reports.calibrates(asked, "mine", "log")


def test_targets_ask_for_what_a_run_can_have():
    asked = compared(run=["mine/topaz", "mine/crf"])
    files = targets.results(asked)
    assert "results/mine/crf/plots/training_crf.png" in files and "results/mine/unet/plots/training.png" in files
    assert "results/mine/crf/plots/crf.png" not in files
    assert "results/mine/topaz/metrics/picks.tsv" in files and "results/mine/topaz/metrics/pixels.tsv" not in files
    assert targets.maps(asked) == ["results/mine/crf/maps", "results/mine/label_maps"]
    assert targets.comparisons(asked)[0] == "results/mine/comparisons/c/table.tsv"
    assert len(files) == len(set(files))


def test_a_resolution_needs_known_angles():
    with pytest.raises(UserError, match="experiments/unet/resolution/refined: on real micrographs"):
        targets.resolutions(plan())
    asked = plan(SIM, run=["sim/unet"])
    assert targets.resolutions(asked) == ["results/sim/unet/resolution/fsc.png"]
    sets = resolution.resolution_sets(asked, dataset="sim", experiment="unet")
    assert sets == ["truth", "picks", "false-10", "false-30", "false-50"]
    assert len(resolution.resolution_maps(asked, dataset="sim", experiment="unet")) == 5 * 3 * 2
    lost = {"unet": {"resolution": {"picks": {"mine": "no/*.star"}}}}
    with pytest.raises(UserError, match="resolution/picks/mine: "):
        targets.resolutions(plan(SIM, run=["sim/unet"], experiments=lost))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (MINE | {"ctf": "no.star"}, "datasets/mine/ctf: no.star does not exist; correct the path"),
        (MINE | {"labels": {"source": "matching", "map": "no.map"}}, "datasets/mine/labels/map: no.map does not exist"),
        (MINE, r"datasets/mine/coordinates/files: .*raw/\*\.star"),
    ],
)
def test_missing_files_are_told_before_any_job(entry, message, folder):
    (folder / "raw").mkdir()
    (folder / "raw/a.mrc").touch()
    if entry is not MINE:
        (folder / "raw/a.star").touch()
    with pytest.raises(UserError, match=message):
        checks.check_plan(plan(datasets={"mine": entry}))


def test_coordinates_under_a_path_with_a_brace_are_refused(folder):
    for path in ("raw/a.mrc", "{grid}/a.star"):
        (folder / path).parent.mkdir()
        (folder / path).touch()
    entry = {"coordinates": {"files": "{grid}/*.star", "origin": "top-left"}}
    with pytest.raises(UserError, match=r"datasets/mine/coordinates/files: \{grid\}/a\.star has a brace, a tab"):
        checks.check_dataset_files(plan(datasets={"mine": MINE | entry}), "mine")


def test_nothing_left_of_the_first_run_is_told(folder):
    (folder / "raw").mkdir()
    (folder / "raw/a.star").touch()
    (folder / "raw/c.mrc").touch()
    with pytest.raises(UserError, match=r"results/mine/batches\.tsv: no micrograph is left of the first run"):
        checks.check_plan(plan((("mine", "c", 2, 1),)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.mrc", "config, datasets/mine/split/validation: no micrograph is called a.mrc; .*the nearest is a$"),
        ("micrograph_b", "no micrograph is called micrograph_b; give names without folder and suffix, the nearest is "),
        ("a_noDW", "split/validation: a_noDW is a file that is left out; name its exact path in micrographs too"),
    ],
)
def test_a_split_that_lists_what_is_not_there_is_told_before_any_job(name, message, folder):
    (folder / "raw").mkdir()
    for file in ("a.mrc", "c.mrc", "a.star"):
        (folder / "raw" / file).touch()
    entry = MINE | {"split": {"train": ["c"], "validation": [name], "test": "rest"}}
    asked = replace(plan(datasets={"mine": entry}), left_out={"mine": {"raw/a_noDW.mrc": "a twin"}})
    with pytest.raises(UserError, match=message):
        checks.check_plan(asked)
    # a run whose parts are drawn goes on without what was removed since
    drawn = folder / "results/mine/split/drawn.tsv"
    drawn.parent.mkdir(parents=True)
    drawn.touch()
    checks.check_split_names(asked, "mine")


def test_a_full_disk_is_told(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(UserError, match="no space left on the disk"):
        checks.check_output_folders()


def test_a_prefix_is_put_before_results_alone():
    asked = dataclasses.replace(plan(), prefix="p/")
    value = {"results/mine/a": ["results/networks/b", "raw/c", "results/motion/d.mrc", 1], "e": None}
    assert asked.with_prefix(value) == {
        "p/results/mine/a": ["p/results/networks/b", "raw/c", "results/motion/d.mrc", 1],
        "e": None,
    }


def test_a_users_file_with_the_name_of_a_result_is_refused_below_a_prefix(folder):
    (folder / "results/mine").mkdir(parents=True)
    for name in ("a.mrc", "a.star"):
        (folder / "results/mine" / name).touch()
    asked = plan(
        datasets={
            "mine": MINE
            | {
                "micrographs": "results/mine/*.mrc",
                "coordinates": MINE["coordinates"] | {"files": "results/mine/*.star"},
            }
        }
    )
    with pytest.raises(
        UserError, match=r"datasets/mine: results/mine/a\.mrc is in a folder with the name of a dataset"
    ):
        checks.check_dataset_files(dataclasses.replace(asked, prefix="p/"), "mine")


@pytest.mark.parametrize("prefix", ["", "p/"])
def test_a_circle_of_trained_networks_is_refused(prefix):
    experiments = {"unet": {"trained": f"./{prefix}results/mine/other/"}}
    experiments["other"] = {"trained": f"{prefix}results/mine/unet"}
    asked = dataclasses.replace(plan(run=["mine/unet", "mine/other"], experiments=experiments), prefix=prefix)
    with pytest.raises(UserError, match=r"experiments/unet/trained: .*results/mine/other/ is a circular reference"):
        checks.check_plan(asked)


def test_the_same_names_in_another_folder_are_no_circle():
    checks.check_circle(plan(experiments={"unet": {"trained": "../before/results/mine/unet"}}), "mine", "unet")
    absolute = str(Path("results/mine/unet").absolute())
    with pytest.raises(UserError, match="circular reference"):
        checks.check_circle(plan(experiments={"unet": {"trained": absolute}}), "mine", "unet")


def test_another_pickers_folder_is_no_trained_network():
    experiments = {"unet": {"trained": "results/mine/log"}, "log": {"picker": {"program": "skimage-log"}}}
    asked = plan(run=["mine/unet", "mine/log"], experiments=experiments)
    with pytest.raises(UserError, match="experiments/unet/trained: results/mine/log is another picker's"):
        checks.check_plan(asked)


def test_rules_hold_little_python():
    rules = Path(__file__).parents[2] / "rules"
    lines = [line for path in rules.glob("*.smk") for line in python_lines(path.read_text())]
    assert len(lines) < 200 and not (rules / "functions").exists()


def python_lines(text):
    """Lines of functions in a file of rules."""
    inside = False
    for line in text.splitlines():
        if line and not line[0].isspace():
            inside = line.startswith("def ")
        if inside and line.strip():
            yield line


def test_suggested_micrographs_are_shown_where_a_page_is_too_small_for_all(folder):
    many = plan([("mine", f"m{i}", i, 0) for i in range(2001)])
    mine = {"dataset": "mine", "experiment": "unet"}
    assert reports.suggested_names(many, **mine) == []
    table = folder / "results/mine/unet/suggest.tsv"
    table.parent.mkdir(parents=True)
    table.write_text("rank\tmicrograph\n1\tm5\n2\t007\n")
    assert reports.suggested_names(many, **mine) == ["m5", "007"]
    # a page that shows all does not depend on it
    assert reports.suggested_names(plan(), **mine) == []
    table.write_text("")
    assert reports.suggested_names(many, **mine) == []


def test_the_page_of_a_large_run_has_a_folder_of_previews():
    few, many = (plan([("mine", f"m{i}", i, 0) for i in range(n)]) for n in (60, 61))
    run, folder = "mine/unet", "results/mine/unet"
    assert (reports.page_data(few, run=run), reports.page_previews(few, run=run)) == (f"{folder}/report.json", [])
    assert reports.page_data(many, run=run) == f"{folder}/report_large.json"
    assert reports.page_previews(many, run=run) == [f"{folder}/report_previews"]
    for each in (few, many):
        assert sorted(reports.with_previews(each) + reports.without_previews(each)) == sorted(each.datasets)
    assert "mine" in reports.with_previews(many) and "mine" not in reports.with_previews(few)


def test_the_page_for_marking_particles_has_a_folder_that_no_experiment_may_have():
    rows = (("mine", "a", 0, 0), ("bare", "a", 0, 0))
    both = plan(rows, run=["mine/unet", "bare/unet"], experiments={"unet": {"network": "general"}})
    assert targets.annotations(both) == [f"results/{dataset}/annotate/report.html" for dataset in ("bare", "mine")]
    taken = plan(experiments={"annotate": {}})
    assert reports.annotated(taken) == []
    with pytest.raises(UserError, match=r"experiments/annotate: .*; rename the experiment"):
        targets.annotations(taken)
