"""Every figure of the registry."""

import re

import pytest

from crisp_core.figures.entry import REPORT_PAGE
from crisp_core.figures.registry import BY_NAME, FIGURES, figure_of_file
from docs.generators.figures import figures_page
from tests.conftest import ROOT
from tests.figures.drawing import drawn_pixels


def drawn_without_warning(entry):
    return drawn_pixels(entry.example())[..., :3].std() > 0.02


@pytest.mark.parametrize("entry", FIGURES, ids=lambda entry: entry.name)
@pytest.mark.filterwarnings("error")
def test_the_example_of_every_figure_is_drawn_without_a_warning_and_is_not_empty(entry):
    assert drawn_without_warning(entry)


def test_names_files_and_captions_belong_to_one_figure():
    assert len(BY_NAME) == len(FIGURES)
    files = [entry.file for entry in FIGURES if entry.file != REPORT_PAGE]
    assert len(set(files)) == len(files)
    assert all(entry.title and entry.caption.endswith(".") for entry in FIGURES)


def test_every_module_of_a_figure_is_in_the_registry():
    helpers = {"__init__", "entry", "registry", "style"}
    modules = {path.stem for path in (ROOT / "crisp_core/figures").glob("*.py")} - helpers
    assert {entry.example.__module__.rsplit(".", 1)[1] for entry in FIGURES} == modules


def test_files_are_outputs_and_sources_are_outputs_or_inputs_of_rules():
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    for entry in FIGURES:
        paths = [entry.source] if entry.file == REPORT_PAGE else [entry.source, entry.file]
        for path in paths:
            assert '"' + re.sub(r"<(.*?)>", r"{\1}", path) + '"' in rules, path


def test_a_file_is_given_its_caption_wherever_results_are():
    assert figure_of_file("picking/results/a/b/noise/spectra.png") is BY_NAME["spectra"]
    assert figure_of_file("results/a/comparisons/b/overlap.png") is BY_NAME["overlap"]
    assert figure_of_file("results/a/b/noise/other.png") is None


def test_the_documentation_has_a_row_for_every_figure():
    rows = [line for line in figures_page(ROOT).splitlines() if line.startswith("|")][2:]
    assert [row.split("|")[1].strip() for row in rows] == [entry.title for entry in FIGURES]
    assert {row.count("|") for row in rows} == {5}
