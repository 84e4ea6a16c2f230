"""The report in a real browser: what its slider, toggles and keys show, and that it needs nothing but itself."""

import re
import shutil
import subprocess
import sys
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from crisp_core.formats.corrections import read_corrections
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.report.index import render_index
from crisp_core.report.page import index_entry, render_page
from tests.browser import drawn, made_run, out

pytestmark = pytest.mark.slow

DIAMETER_PX = 180 / 7.08
# A label and a map are off at first.
LAYERS = {"picks": "p", "truth": "t", "label": "l", "probability": "m"}


def set_slider(page, threshold):
    """Move the slider to a threshold that it has."""
    page.evaluate(
        """threshold => {
            const run = JSON.parse(document.getElementById("data").textContent);
            const slider = document.querySelector('[data-in="slider"]');
            slider.value = run.thresholds.indexOf(threshold);
            slider.dispatchEvent(new Event("input"));
        }""",
        threshold,
    )


def picture(page):
    return page.evaluate("document.querySelector('article canvas').toDataURL()")


@pytest.fixture(scope="module")
def results(tiny_run):
    """Candidates, truth and parts of the tiny run, read from its files."""
    folder = tiny_run / "results/tiny"
    stars = sorted((folder / "small/candidates").glob("*.star"))
    candidates = pd.concat([read_coordinates_star(path) for path in stars])
    split = pd.read_csv(folder / "split.tsv", sep="\t", dtype=str)
    return candidates, read_coordinates_star(folder / "coordinates.star"), split


def expected(candidates, truth, names, threshold):
    """Picks, precision and recall of some micrographs, matched anew by scipy."""
    n_picks = n_truth = n_matched = 0
    for name in names:
        kept = (candidates["micrograph"] == name) & (candidates["score"] >= threshold)
        picks = candidates.loc[kept, ["x", "y"]].to_numpy()
        known = truth.loc[truth["micrograph"] == name, ["x", "y"]].to_numpy()
        near = np.linalg.norm(picks[:, None] - known[None], axis=2) <= DIAMETER_PX / 2
        n_matched += int((maximum_bipartite_matching(csr_array(near)) >= 0).sum()) if near.size else 0
        n_picks, n_truth = n_picks + len(picks), n_truth + len(known)
    # JavaScript rounds a half up, Python to even
    share = [
        str(Decimal(n_matched / n).quantize(Decimal("0.001"), ROUND_HALF_UP)) if n else "–" for n in (n_picks, n_truth)
    ]
    return str(n_picks), *share


def test_the_slider_shows_the_numbers_of_a_fresh_matching(tiny_run, results, opened):
    candidates, truth, split = results
    page = opened(tiny_run / "results/tiny/small/report.html")
    test = split.loc[split["part"] == "test", "micrograph"].tolist()
    name = out(page, "name")
    assert name in test
    chosen = yaml.safe_load((tiny_run / "results/tiny/small/centers.yaml").read_text())["threshold"]
    low, high = candidates["score"].min(), candidates["score"].max()
    between = [round(float(value), 3) for value in np.linspace(low, high, 6)]
    for threshold in [chosen, 0, *between, 1]:
        set_slider(page, threshold)
        here, part = (expected(candidates, truth, names, threshold) for names in ([name], test))
        assert out(page, "count") == here[0]
        assert tuple(out(page, f"here-{key}") for key in ("picks", "precision", "recall")) == here
        assert tuple(out(page, f"part-{key}") for key in ("picks", "precision", "recall")) == part
        assert out(page, "all-picks") == str((candidates["score"] >= threshold).sum())
        kept = candidates[(candidates["micrograph"] == name) & (candidates["score"] >= threshold)]
        mean = out(page, "here-expected")
        assert mean == "–" if kept.empty else float(mean) == pytest.approx(kept["expected_precision"].mean(), abs=2e-3)
    assert page.locator('[data-do="reset"]').first.inner_text().startswith("back to")


def test_the_page_starts_with_the_numbers_of_the_table_of_picks(tiny_run, opened):
    page = opened(tiny_run / "results/tiny/small/report.html")
    table = pd.read_csv(tiny_run / "results/tiny/small/metrics/picks.tsv", sep="\t")
    row = table.query("part == 'test' and micrograph == 'all'").iloc[0]
    assert out(page, "part-picks") == str(row["n_picks"])
    for measure in ("precision", "recall", "f1"):
        assert out(page, f"part-{measure}") == f"{row[measure]:.3f}"
    assert page.locator(".card.main b").inner_text() == f"{row['f1']:.3f}"


def test_toggles_change_what_is_drawn(tiny_run, opened):
    page = opened(tiny_run / "results/tiny/small/report.html")
    for layer, key in LAYERS.items():
        button = page.locator(f'[data-layer="{layer}"]')
        pressed, before = button.get_attribute("aria-pressed"), picture(page)
        button.click()
        assert button.get_attribute("aria-pressed") != pressed and picture(page) != before, layer
        page.keyboard.press(key)
        assert button.get_attribute("aria-pressed") == pressed and picture(page) == before, layer


def test_keys_move_between_micrographs_and_thresholds(tiny_run, results, opened):
    page = opened(tiny_run / "results/tiny/small/report.html")
    candidates, _, _ = results
    names = sorted(set(candidates["micrograph"]))
    first = out(page, "name")
    page.keyboard.press("ArrowRight")
    drawn(page)
    assert out(page, "name") == names[(names.index(first) + 1) % len(names)]
    page.keyboard.press("ArrowLeft")
    drawn(page)
    assert out(page, "name") == first
    start = page.locator('[data-in="threshold"]').input_value()
    page.keyboard.press("+")
    raised = float(page.locator('[data-in="threshold"]').input_value())
    assert raised == pytest.approx(float(start) + 0.01, abs=0.0011)
    page.locator("canvas").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator('[data-in="threshold"]').input_value() == start
    page.keyboard.press("ArrowUp")
    page.keyboard.press("r")
    assert page.locator('[data-in="threshold"]').input_value() == start
    before = picture(page)
    page.keyboard.press("z")
    assert picture(page) != before
    page.keyboard.press("z")
    assert picture(page) == before
    # a typed threshold, and a micrograph of the contact sheet
    page.locator('[data-in="threshold"]').fill("0.25")
    page.locator('[data-in="threshold"]').press("Enter")
    assert "threshold: 0.25}" in out(page, "command")
    page.locator("[data-view]").nth(4).click()
    drawn(page)
    assert out(page, "name") == names[4]


@pytest.mark.parametrize("width", [1280, 1920])
def test_the_page_is_as_wide_as_the_window_and_everything_has_a_name(tiny_run, opened, width):
    page = opened(tiny_run / "results/tiny/small/report.html", width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    unnamed = """[...document.querySelectorAll("button, input, select, canvas, img")].filter(
        e => !e.getAttribute("aria-label") && !e.innerText?.trim() && e.alt === undefined).length"""
    assert page.evaluate(unnamed) == 0
    empty = "[...document.querySelectorAll('img')].filter(e => !(e.complete && e.naturalWidth)).length"
    assert page.evaluate(empty) == 0
    ids = page.evaluate("[...document.querySelectorAll('.bar nav a')].map(a => a.hash.slice(1))")
    assert len(ids) == 10 and all(page.locator(f"#{name}").count() == 1 for name in ids)


def test_corrections_have_the_picks_of_the_run_exactly(tiny_run, opened, tmp_path):
    page = opened(tiny_run / "results/tiny/small/report.html")
    for key in ("c", "v", "PageDown"):
        page.keyboard.press(key)
        drawn(page)
    page.keyboard.press("b")
    with page.expect_download() as download:
        page.keyboard.press("Control+s")
    download.value.save_as(tmp_path / "corrections.json")
    file = read_corrections(tmp_path / "corrections.json")
    picks = pd.concat(read_coordinates_star(path) for path in (tiny_run / "results/tiny/small/picks").glob("*.star"))
    assert (file.dataset, file.experiment) == ("tiny", "small") and len(file.micrographs) == 2
    for one in file.micrographs:
        own = picks.loc[picks["micrograph"] == one.micrograph, ["x", "y"]].to_numpy()
        assert len(own) and sorted(one.kept) == sorted(own.tolist())
        assert one.pixel_size_angstrom == 7.08


def test_the_exported_command_picks_as_many(tiny_run, results, opened, tmp_path):
    candidates, _, _ = results
    page = opened(tiny_run / "results/tiny/small/report.html")
    threshold = round(float(candidates["score"].median()), 3)
    set_slider(page, threshold)
    command, n_picks = out(page, "command"), int(out(page, "all-picks"))
    assert 0 < n_picks < len(candidates)
    folder = tmp_path / "again"
    shutil.copytree(tiny_run, folder, symlinks=True)
    made = sorted(path.relative_to(tiny_run) for path in (tiny_run / "results/tiny/small/picks").glob("*.star"))
    assert command.endswith("--configfile tiny.yaml threshold.yaml")
    python = f"{sys.executable} -m snakemake"
    command = f"{command.replace('snakemake', python).replace('--cores 8', '--cores 2')} -- {' '.join(map(str, made))}"
    done = subprocess.run(["bash", "-ec", command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert set(re.findall(r"rule (\w+):", done.stderr)) == {"pick"}
    assert sum(len(read_coordinates_star(folder / path)) for path in made) == n_picks


@pytest.mark.parametrize("labelled", [True, False])
def test_text_stays_text_and_layers_that_a_run_lacks_are_disabled(tmp_path, opened, labelled):
    name = "d/e" if labelled else "d/<i>other</i>"
    path, run = tmp_path / "report.html", made_run(name, labelled=labelled)
    path.write_text(render_page(run, made="now"))
    page = opened(path)
    assert out(page, "name") == run["viewer"]["micrographs"][0]["name"]
    assert page.locator("h1").inner_text() == name
    if labelled:
        assert out(page, "here-precision") == "0.500"
        assert [out(page, key) for key in ("kind", "n-true", "n-false", "n-missed")] == ["true pick", "1", "1", "0"]
        page.keyboard.press("ArrowRight")
        drawn(page)
        assert [out(page, key) for key in ("kind", "n-true", "n-false", "n-missed")] == ["pick", "2", "–", "–"]
        assert page.locator("[data-layer=truth]").is_disabled()
    else:
        assert out(page, "count") == "2" and out(page, "n-true") == "2"
        assert page.locator("[data-layer=truth]").is_disabled()
        assert page.locator("[data-layer=probability]").is_disabled()
        page.locator("canvas").focus()
        page.keyboard.press("ArrowUp")
        assert out(page, "count") == "1"
    assert page.locator("main i, main img[src=x], td b").count() == page.locator(".toggles i").count()


def test_the_index_lists_runs_with_scores_and_links_and_text_stays_text(tmp_path, opened):
    runs = [made_run("d/e", labelled=True), made_run("d/<i>other</i>", labelled=False)]
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "d/e/report.html").write_text(render_page(runs[0], made="now"))
    (tmp_path / "table.tsv").write_text("<b>\tf1\n1\t0.5\n")
    entries = [index_entry(run, made="1 June") for run in runs]
    (tmp_path / "report.html").write_text(render_index(entries, [str(tmp_path / "table.tsv")]))
    page = opened(tmp_path / "report.html", viewer=False)
    rows = [row.inner_text().split("\t") for row in page.locator("#runs tbody tr").all()]
    assert rows[0][:8] == ["d/e", "network, nms (cell_diameters 0.5)", "1", "2", "test", "0.667", "0.500", "1.000"]
    assert rows[1][0] == "d/<i>other</i>" and rows[1][4:6] == ["no coordinates", "–"] and rows[1][10] == "1 June"
    assert page.locator("#shared td").all_inner_texts() == ["1", "0.5"] and page.locator("main i, main b").count() == 0
    page.locator("#runs tbody a").first.click()
    drawn(page)
    assert page.locator("h1").inner_text() == "d/e"
    page.locator("header strong a").click()
    assert page.locator("h1").inner_text() == "Runs"
