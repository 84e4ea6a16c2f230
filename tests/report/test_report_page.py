"""Data behind the report's viewer, and the text of the page."""

import base64
import io
import json
import os
import re
import shlex
from datetime import datetime

import h5py
import mrcfile
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from crisp_core.evaluation.pick_tables import picks_table
from crisp_core.figures.pick_counts import draw_pick_counts
from crisp_core.figures.score_histogram import draw_score_histogram
from crisp_core.formats.arrays import Array, write_array
from crisp_core.report import sheet
from crisp_core.report.data import click_labels, read_tables, removal_warning
from crisp_core.report.limits import MAX_EMBEDDED
from crisp_core.report.page import (
    embedded_json,
    format_duration,
    format_number,
    outdated_extras,
    read_extras,
    run_command,
    summarise_run,
)
from crisp_core.report.picked import (
    chosen_threshold,
    count_at_least,
    fill_missing_scores,
    mark_outliers,
    match_candidates,
    match_micrographs,
    pick_counts,
    pooled_counts,
    score_groups,
    threshold_grid,
)
from crisp_core.report.previews import (
    DETACHED_PX,
    choose_micrographs,
    evenly_spaced,
    figure_uri,
    jpeg_uri,
    mask_uri,
    outline_preview,
    preview_shape,
    preview_side,
)
from crisp_core.report.tables import table_rows
from crisp_core.report.view import mean_particle, micrograph_view, sample_particles

points = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=9)


def coordinates(xy, **columns):
    table = pd.DataFrame(np.reshape(xy, (-1, 2)), columns=["x", "y"], dtype=float)
    return table.assign(**columns)


def largest_matching(truth, picks, reach):
    """Pairs of a maximum matching by scipy, an implementation of its own."""
    distance = np.linalg.norm(truth[:, None] - picks[None], axis=2)
    matched = maximum_bipartite_matching(csr_array(distance <= reach), perm_type="column")
    return int((matched >= 0).sum())


@settings(max_examples=40)
@given(points, points, st.randoms(use_true_random=False))
def test_every_threshold_shows_a_maximum_matching(truth_xy, picks_xy, random):
    scores = [random.randint(0, 5) / 5 for _ in picks_xy]
    one = match_candidates(coordinates(picks_xy, score=scores), coordinates(truth_xy), diameter_px=6)
    truth, ranked = one.truth[["x", "y"]].to_numpy(), one.candidates
    for threshold in (0.0, 0.5, 0.8):
        kept = ranked[ranked["score"] >= threshold]
        found = (one.truth["found"] >= threshold).to_numpy()
        n = largest_matching(truth, kept[["x", "y"]].to_numpy(), 3) if len(truth) and len(kept) else 0
        assert kept["true"].sum() == found.sum() == n
        # what is shown as found can all be found by what is shown as true
        true = kept.loc[kept["true"], ["x", "y"]].to_numpy()
        assert n == 0 or largest_matching(truth[found], true, 3) == n


def test_the_chosen_threshold_has_the_numbers_of_the_table_of_picks():
    rng = np.random.default_rng(0)
    names = ["a", "b", "c"]
    truth = coordinates(rng.uniform(0, 300, (90, 2)), micrograph=np.repeat(names, 30))
    near = truth[["x", "y"]].to_numpy() + rng.normal(0, 8, (90, 2))
    candidates = pd.concat(
        [
            coordinates(near, micrograph=truth["micrograph"], score=rng.uniform(0.3, 1, 90)),
            coordinates(rng.uniform(0, 300, (90, 2)), micrograph=truth["micrograph"], score=rng.uniform(0, 0.8, 90)),
        ]
    )
    parts = {"a": "test", "b": "test", "c": "train"}
    thresholds = threshold_grid(0.4321, candidates["score"].to_numpy())
    found = match_micrographs(candidates, truth, names, parts, diameter_px=20)
    pooled = pooled_counts(found, parts, thresholds)
    for threshold in (0.1, 0.4321, 0.75):
        i = int(np.flatnonzero(thresholds == threshold)[0])
        picks = candidates[candidates["score"] >= threshold]
        table = picks_table(truth, picks, parts, diameter_px=20, pixel_size=1).set_index(["part", "micrograph"])
        for part in ("test", "train"):
            row = table.loc[(part, "all")]
            assert pooled[part]["n_picks"][i] == row["n_picks"] and pooled[part]["n_true"][i] == row["n_matched"]
            assert pooled[part]["n_truth"] == row["n_truth"]
        assert pooled["all"]["n_picks"][i] == len(picks)


def test_a_micrograph_without_a_part_has_no_truth():
    candidates = coordinates([[1, 1]], score=[0.5], micrograph=["a"])
    found = match_micrographs(candidates, None, ["a", "b"], {}, diameter_px=4)
    assert found["a"].truth is None and "true" not in found["a"].candidates and found["b"].candidates.empty
    assert pooled_counts(found, {}, np.array([0.0, 0.5, 0.6]))["all"] == {"n_micrographs": 2, "n_picks": [1, 1, 0]}


def test_thresholds_hold_the_chosen_one_and_cover_the_scores():
    grid = threshold_grid(1 / 3, np.array([0.2, 0.9]))
    assert grid[0] == 0 and grid[-1] == 1 and len(grid) == 1002 and 1 / 3 in grid and 0.25 in grid
    wide = threshold_grid(-2.5, np.array([-7.3, 4.2]))
    assert wide[0] == -8 and wide[-1] == 5 and (np.diff(wide) > 0).all()
    assert count_at_least(np.array([0.1, 0.5, 0.5, 0.9]), np.array([0.1, 0.5, 0.51, 1])).tolist() == [4, 3, 1, 0]


def test_other_pickers_without_a_threshold_keep_everything():
    table = fill_missing_scores(coordinates([[0, 0], [1, 1]], score=[np.nan, 2.0]))
    assert table["score"].tolist() == [2.0, 2.0]
    assert fill_missing_scores(coordinates([[0, 0]], score=[np.nan]))["score"].tolist() == [0.0]
    assert chosen_threshold("published", pd.Series([3.0, 2.0])) == 2 and chosen_threshold(0.4, np.array([1.0])) == 0.4
    assert chosen_threshold(None, np.zeros(0)) == 0


def test_outliers_are_beyond_three_robust_deviations():
    counts = pd.Series([100, 104, 96, 108, 92, 100, 10], index=list("abcdefg"))
    table = mark_outliers(counts)
    assert table.loc[table["outlier"], "micrograph"].tolist() == ["g"]
    # median 100, median absolute deviation 4 → 5.9; the counting noise is 10
    assert table["deviation"].iloc[-1] == pytest.approx(-9)
    assert not mark_outliers(pd.Series([100, 100, 100, 101], index=list("abcd")))["outlier"].any()
    assert mark_outliers(pd.Series([], dtype=int)).empty


def test_previews_share_one_number_of_pixels():
    assert preview_side(1) == preview_side(20) == 1400
    for n in (21, 40, MAX_EMBEDDED):
        assert n * preview_side(n) ** 2 <= 20 * 1400**2 < 1.02 * n * (preview_side(n) + 1) ** 2
    # in a folder beside the page, their number has no limit
    assert preview_side(MAX_EMBEDDED + 1) == preview_side(5000) == DETACHED_PX > preview_side(MAX_EMBEDDED)
    assert preview_shape((4096, 2048), 1400) == (1400, 700) and preview_shape((300, 200), 1400) == (300, 200)


def test_the_viewer_prefers_the_test_part_then_outliers():
    names = [f"m{i}" for i in range(10)]
    chosen = choose_micrographs(names, {"m7": "test", "m3": "train"}, {"m4"}, 4)
    assert chosen == ["m0", "m4", "m7", "m9"] or {"m4", "m7"} < set(chosen)
    assert len(chosen) == 4 and chosen == sorted(chosen)
    assert choose_micrographs(names, {}, set(), 99) == names
    # those of which the network is unsure come first
    suggested = choose_micrographs(names, {"m7": "test", "m3": "train"}, {"m4"}, 3, ["m2", "m8", "gone"])
    assert suggested == ["m2", "m7", "m8"]
    assert evenly_spaced(7, 3) == {0, 3, 6} and evenly_spaced(0, 3) == set()


def pixels_of(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def test_pictures_come_back():
    ramp = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (64, 1))
    assert np.abs(pixels_of(jpeg_uri(ramp, bytes_per_px=1)).astype(int) - ramp).max() < 8
    mask = np.random.default_rng(0).random((20, 30)) > 0.5
    np.testing.assert_array_equal(pixels_of(mask_uri(mask)), mask)
    label = np.zeros((40, 40), np.uint8)
    label[10:30, 10:30] = 1
    rim = outline_preview(label, (40, 40))
    assert rim.sum() == 20 * 20 - 16 * 16 and not rim[12:28, 12:28].any()


def test_a_view_has_its_marks_where_the_picture_has_the_particle():
    data = np.zeros((60, 120), np.float32)
    data[28:33, 88:93] = -5
    image = Array(data, 8.0, (240, 480))
    candidates = coordinates([[360, 120]], score=[0.7], expected_precision=[0.61234])
    one = match_candidates(candidates, coordinates([[360, 120], [20, 20]]), diameter_px=40)
    view = micrograph_view(one, image, data < 0, None, diameter_angstrom=80, side_px=120)
    assert (view["width"], view["height"], view["diameter"]) == (120, 60, 10) and view["label"] is None
    dark = np.argwhere(pixels_of(view["image"]) < 40)
    np.testing.assert_allclose(dark.mean(axis=0), [30, 90], atol=0.5)
    assert (view["candidates"]["x"], view["candidates"]["y"]) == ([360], [120])
    assert (view["grid"], view["full_shape"]) == ([60, 120], [240, 480])
    assert view["truth"]["found"] == [0.7, None] and view["candidates"]["true"] == [1]
    assert view["candidates"]["expected_precision"] == [0.612]


def test_twenty_large_micrographs_stay_below_15_mb():
    rng = np.random.default_rng(0)
    # 4096² pixels of nothing but noise, seen at the finest pixel size that a preview can show
    image = Array(rng.normal(size=(1400, 1400)).astype(np.float32), 1.77 * 4096 / 1400, (4096, 4096))
    n = 800
    table = coordinates(rng.uniform(0, 4096, (n, 2)), score=rng.random(n).round(9))
    one = match_candidates(table, table[["x", "y"]] + 3, diameter_px=108)
    probability = 0.5 + 10 * gaussian_filter(image.data, 5)
    view = micrograph_view(one, image, probability, probability > 0.7, diameter_angstrom=191, side_px=preview_side(20))
    # 1 MB for plots, thumbnails and text
    assert 20 * len(json.dumps(view)) < 14e6


def test_text_in_the_data_cannot_leave_its_script_element():
    text = embedded_json({"name": "</script><b>&'\"\u2028"})
    assert not re.search(r"[<>&\u2028]", text)
    assert json.loads(text)["name"] == "</script><b>&'\"\u2028"


def test_summary_takes_the_test_part_or_the_last_there_is():
    columns = ["part", "micrograph", "f1"]
    rows = [["train", "a", 0.1], ["train", "all", 0.2], ["validation", "all", 0.3]]
    run = {"n_micrographs": 2, "n_picks": 3, "n_particles": 3, "labelled": True, "quarantine": {"rows": [["a"]]}}
    run["scores"] = {"picks": {"columns": columns, "rows": rows}}
    assert summarise_run(run)["part"] == "validation" and summarise_run(run)["picks"]["f1"] == 0.3
    assert summarise_run(run)["n_quarantined"] == 1 and summarise_run(run)["pixels"] is None
    run["scores"]["picks"]["rows"] = [["test", "all", 0.4], *rows]
    assert summarise_run(run)["part"] == "test"
    assert summarise_run(run | {"labelled": False})["part"] is None


def test_the_command_names_files_as_seen_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_command([]) == "snakemake --cores 8"
    words = shlex.split(run_command(["a.yaml"], overrides={"seed": 3, "run": ["d/a b"]}))
    assert words == ["snakemake", "--cores", "8", "--config", "seed=3", 'run=["d/a b"]', "--configfile", "a.yaml"]
    files = [tmp_path / "my data.yaml", "threshold.yaml"]
    assert run_command(files, cores=2) == "snakemake --cores 2 --configfile 'my data.yaml' threshold.yaml"


def test_results_on_request_that_are_older_than_their_picks_are_marked(tmp_path):
    names = ("resolution/resolution.tsv", "noise/spectra.png", "0000.star", "suggest.tsv")
    paths = [tmp_path / name for name in names]
    for hours, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True)
        path.write_text("set\na\n")
        os.utime(path, (3600 * hours, 3600 * hours))
    extra, picks = [str(paths[i]) for i in (0, 1, 3)], paths[2:3]
    assert outdated_extras(extra, picks, simulated=True) == extra[:1]
    # a refinement's resolution depends on no picks of the run, nor does the noise
    assert outdated_extras(extra, picks, simulated=False) == []
    made = read_extras(extra[::2], outdated=extra[:1])["extra_made"]
    assert [made[path]["is_old"] for path in extra[::2]] == [True, False]
    assert made[extra[0]]["time"] == f"{datetime.fromtimestamp(0):%Y-%m-%d %H:%M}"


def test_names_and_counts_of_tables_are_shown_as_they_are(tmp_path):
    path = tmp_path / "suggest.tsv"
    path.write_text("micrograph\tn\tis_good\n0007\t12345.0\tTrue\n1e5\t2\tFalse\n")
    (table,) = read_extras([str(path)])["extra_tables"].values()
    assert [row[0] for row in table["rows"]] == ["0007", "1e5"]
    assert [format_number(cell) for cell in table["rows"][0]] == ["0007", "12\u202f345", "yes"]
    assert [format_number(value) for value in (2.0, 1234.5, 9999.6, 123456.7, 1e300)] == [
        "2",
        "1234",
        "10\u202f000",
        "123\u202f457",
        "1e+300",
    ]


def test_numbers_read_well():
    assert (format_number(12345), format_number(0.123456), format_number(None), format_number("a<b")) == (
        "12\u202f345",
        "0.1235",
        "–",
        "a<b",
    )
    assert (format_duration(3.14), format_duration(245), format_duration(7380)) == ("3.1 s", "4 min 05 s", "2 h 03 min")
    table = table_rows(pd.DataFrame({"a": ["x", None], "n": [1, 2], "f": [np.nan, 0.5], "g": [-np.inf, 1.0]}))
    assert table == {"columns": ["a", "n", "f", "g"], "rows": [["x", 1, None, None], [None, 2, 0.5, 1.0]]}


def test_particles_are_sampled_at_equal_distances_whatever_the_stacks(tmp_path):
    images = np.arange(10, dtype=np.float32)[:, None, None] * np.ones((1, 4, 4), np.float32)
    for name, part in (("one", images), ("a", images[:3]), ("b", images[3:])):
        mrcfile.write(tmp_path / f"{name}.mrcs", part)
    whole = sample_particles([tmp_path / "one.mrcs"], 4)
    np.testing.assert_array_equal(whole[:, 0, 0], [0, 3, 6, 9])
    np.testing.assert_array_equal(sample_particles([tmp_path / "a.mrcs", tmp_path / "b.mrcs"], 4), whole)
    np.testing.assert_allclose(mean_particle(images), 4.5)
    assert len(sample_particles([], 4)) == 0


def test_a_sheet_of_more_micrographs_than_the_page_holds(tmp_path, monkeypatch):
    names, data = [f"m{i}" for i in range(5)], np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    with h5py.File(tmp_path / "images.h5", "w") as file:
        for name in names:
            write_array(file, "image", name, data, pixel_size=8.0, full_shape=(40, 60))
            write_array(file, "label", name, (data > 0).astype(np.uint8), pixel_size=8.0, full_shape=(40, 60))
    files = {kind: sheet.files_by_name([tmp_path / "images.h5"], kind) for kind in ("image", "probability", "label")}
    none = fill_missing_scores(coordinates([], score=[], micrograph=[]))
    found = match_micrographs(none, none, names, {"m3": "test"}, diameter_px=4)
    counts = mark_outliers(pick_counts(found, 0.5))
    monkeypatch.setattr(sheet, "MAX_SHOWN", 2)
    options = {"diameter_angstrom": 80, "n_previews": len(names)}
    on_sheet, (_, view) = sheet.sheet_and_views(found, counts, files, {"m3": "test"}, **options)
    assert {one["name"]: one["view"] for one in on_sheet} == {"m0": 0, "m3": 1}
    assert (view["name"], view["part"]) == ("m3", "test")
    on_sheet, (suggested, _) = sheet.sheet_and_views(found, counts, files, {"m3": "test"}, **options, suggested=["m1"])
    assert {one["name"]: one["view"] for one in on_sheet} == {"m1": 0, "m3": 1} and suggested["name"] == "m1"
    assert view["probability"] is None and view["label"] is not None
    assert view["candidates"]["score"] == [] and view["truth"]["found"] == []
    json.dumps([on_sheet, view], allow_nan=False)
    figures = draw_score_histogram(score_groups(found), threshold=0.5), draw_pick_counts(counts)
    assert all(figure_uri(figure).startswith("data:image/png") for figure in figures)


def test_labels_from_clicks_are_summed_up_over_the_batches(tmp_path):
    header = "micrograph\tn_particles\tseparation\tequivalent_diameter_angstrom\tdiscs\n"
    (tmp_path / "0.tsv").write_text(header + "1\t30\t2.0\t110\t\n2\t30\t2.0\t130\t\n")
    (tmp_path / "1.tsv").write_text(header + "3\t30\t0.1\t\tcontrast too low\n")
    summary = click_labels([tmp_path / "0.tsv", tmp_path / "1.tsv"], diameter_angstrom=150.0)
    assert (summary["n_outlined"], summary["n_discs"], summary["diameter_angstrom"]) == (2, 1, 120.0)
    assert summary["discs"]["rows"] == [["3", "contrast too low"]]


def test_a_rule_that_takes_more_picks_than_it_leaves_is_told(tmp_path):
    table = tmp_path / "dropped.tsv"

    def warning(n_picks):
        return removal_warning(read_tables({"dropped": [table]})["dropped"], n_picks=n_picks)

    rows = [("picking", "contaminant", "a", 40), ("picking", "contaminant", "b", 30), ("extraction", "edge", "a", 99)]
    pd.DataFrame(rows, columns=["stage", "reason", "micrograph", "n_picks"]).to_csv(table, sep="\t", index=False)
    assert warning(70) is None
    assert warning(69).startswith("70 picks were removed (contaminant), and 69 are left.")
    pd.DataFrame(rows[:0], columns=["stage", "reason", "micrograph", "n_picks"]).to_csv(table, sep="\t", index=False)
    assert warning(0) is None
