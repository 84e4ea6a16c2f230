import copy

import pytest

from crisp_core.errors import UserError
from crisp_core.pickers import PICKERS
from crisp_core.settings.checks import check_settings

FILES = {"files": "picks/*.box", "origin": "top-left"}
DATASET = {
    "micrographs": "*.mrc",
    "coordinates": {"files": "*.star", "origin": "top-left"},
    "pixel_size": 1.5,
    "particle_diameter_angstrom": 120,
}


def checked(picker, *, dataset=DATASET, **more):
    experiments = {"unet": {}, "theirs": {"picker": picker} | more.pop("experiment", {})} | more.pop("experiments", {})
    settings = {"run": ["mine/theirs"], "datasets": {"mine": dataset}, "experiments": experiments} | more
    return check_settings(copy.deepcopy(settings))


def without(key, **changed):
    return {name: value for name, value in DATASET.items() if name != key} | changed


@pytest.mark.parametrize("program", PICKERS)
def test_every_picker_has_its_defaults(program):
    picker = PICKERS[program]
    filled = checked(FILES if picker.from_files else {"program": program}).experiments["theirs"].picker
    assert type(filled) is picker and filled.program == program
    # picks of files are complete; of a program, candidates of any score, so that the threshold is chosen
    assert filled.threshold == ("published" if picker.from_files else None)
    # nobody knows what made files or trained a network; a formula saw no micrograph
    assert filled.leak in ([False, "unknown"] if picker.whole_micrographs or not picker.from_files else ["unknown"])


@pytest.mark.parametrize(
    ("program", "leak"),
    [("topaz-pretrained", "unknown"), ("topaz", "unknown"), ("relion-log", False), ("skimage-log", False)],
)
def test_a_network_may_have_seen_the_micrographs_and_a_formula_has_not(program, leak):
    assert PICKERS[program]().leak == leak


def test_the_default_is_a_network():
    assert checked(FILES).experiments["unet"].picker is None


def test_picks_as_published_need_no_coordinates_and_no_validation_part():
    checked(FILES, dataset=without("coordinates"))
    checked(FILES, dataset=DATASET | {"split": {"train": 0, "validation": 0}})


@pytest.mark.parametrize(
    ("picker", "message"),
    [
        ({}, "picker: no files and no known program; give files, or program: topaz-pretrained"),
        ({"program": "guess"}, "picker: no files and no known program"),
        ({"files": "*.box"}, "picker: origin is missing; give it"),
        ({"program": "skimage-log", "epochs": 3}, "picker: unknown key 'epochs'; known are diameters"),
        ({"program": "topaz", "units": 48}, "picker/units: 48 is not allowed; give 32 or 64"),
        (FILES | {"threshold": "best"}, "picker/threshold: 'best' is not allowed; give a number or published"),
    ],
)
def test_wrong_keys_of_a_picker_are_named(picker, message):
    with pytest.raises(UserError, match=f"^config, experiments/theirs/{message}"):
        checked(picker)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"picker": {"program": "skimage-log"}, "experiment": {"network": {}, "centers": {}}},
            "experiments/theirs: picker replaces the network, so centers and network would have no effect",
        ),
        (
            {"picker": {"program": "skimage-log"}, "dataset": without("coordinates")},
            "run: mine/theirs has no coordinates to train or choose a threshold on",
        ),
        (
            {"picker": {"program": "skimage-log"}, "dataset": DATASET | {"split": {"validation": 0}}},
            "datasets/mine/split/validation: the threshold of theirs needs at least one micrograph; add one",
        ),
        (
            {"picker": {"program": "topaz"}, "dataset": DATASET | {"split": {"train": 0}}},
            "datasets/mine/split/train: a training needs at least one micrograph; add one",
        ),
        (
            {"picker": {"program": "relion-log", "diameter_min_angstrom": 180, "diameter_max_angstrom": 150}},
            "experiments/theirs/picker: diameter_min_angstrom 180 is more than diameter_max_angstrom 150",
        ),
        (
            {"picker": FILES, "tables": {"all": {"rows": ["theirs"]}}},
            "tables/all/rows: theirs has a picker and no network; list it in comparisons",
        ),
        (
            {"picker": FILES, "comparisons": {"all": {"dataset": "mine", "entries": ["ours"]}}},
            "comparisons/all: ours is not an entry of experiments; defined are unet, theirs",
        ),
        (
            {
                "picker": FILES,
                "comparisons": {"all": {"dataset": "mine", "entries": ["theirs"], "consensus_at_least": 2}},
            },
            "comparisons/all/consensus_at_least: 2 is more than the number of entries, 1; lower it",
        ),
        (
            {
                "picker": FILES,
                "experiments": {"consensus": {"picker": FILES}},
                "comparisons": {"all": {"dataset": "mine", "entries": ["consensus", "unet"]}},
            },
            "comparisons/all/entries: consensus is the name of the row of consensus picks; rename this experiment",
        ),
        (
            {
                "picker": FILES,
                "dataset": without("coordinates"),
                "comparisons": {"all": {"dataset": "mine", "entries": ["theirs"], "consensus_at_least": 1}},
            },
            "comparisons/all/dataset: mine has no coordinates to compare with",
        ),
    ],
)
def test_impossible_combinations_are_refused(arguments, message):
    with pytest.raises(UserError, match=f"^config, {message}"):
        checked(**arguments)


@pytest.mark.parametrize("picker", ["topaz", ["topaz"]])
def test_what_is_no_picker_is_refused_in_one_line(picker):
    with pytest.raises(UserError, match="experiments/theirs/picker"):
        checked(picker)


def test_diameters_in_text_are_refused_in_one_line():
    diameters = {"diameter_min_angstrom": "100", "diameter_max_angstrom": 90}
    with pytest.raises(UserError, match="experiments/theirs/picker/diameter_min_angstrom: '100'"):
        checked({"program": "relion-log"} | diameters)


def test_a_comparison_on_an_empty_part_is_refused():
    comparison = {"dataset": "mine", "entries": ["unet", "theirs"]}
    with pytest.raises(
        UserError, match="comparisons/both/part: datasets/mine/split leaves no micrograph for test; name"
    ):
        checked(FILES, dataset=DATASET | {"split": {"test": 0}}, comparisons={"both": comparison})
