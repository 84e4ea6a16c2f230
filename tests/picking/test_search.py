import numpy as np
import pandas as pd
import pytest
import yaml

from crisp_core.errors import UserError
from crisp_core.evaluation import scores as picks
from crisp_core.evaluation.calibration import apply_calibration
from crisp_core.evaluation.curves import counts_at_threshold, map_paper
from crisp_core.evaluation.scores import pool_scores, precision, score_micrographs
from crisp_core.picking.finders import FINDERS, all_settings, chosen_finder, finder_of_file, settings_to_try
from crisp_core.picking.finders.nms import Nms
from crisp_core.picking.search import (
    choose,
    find_centers,
    given_settings,
    pick_settings,
    scores_by_setting,
    search_table,
)
from tests.picking.discs import discs, scattered

D = 20.0
NMS = Nms.settings()


def search(maps, truth, *, target_precision=None, **options):
    return search_table(scores_by_setting(maps, truth, diameter_px=D, **options), target_precision)


@pytest.fixture(scope="module")
def validation():
    rng = np.random.default_rng(0)
    maps, truth = {}, []
    for seed, name in enumerate(["a", "b"]):
        xy = scattered(18, 160, 0.9 * D, margin=12, seed=seed)
        false = scattered(3, 160, D, margin=12, seed=seed + 50)
        noise = rng.random((160, 160))
        maps[name] = np.clip(np.maximum(discs((160, 160), xy, D) * 0.9, discs((160, 160), false, 14) * 0.5), 0, 1)
        maps[name] = (maps[name] * (0.8 + 0.2 * noise)).astype(np.float32)
        truth.append(pd.DataFrame({"micrograph": name, "x": xy[:, 0], "y": xy[:, 1]}))
    return maps, pd.concat(truth, ignore_index=True)


@pytest.fixture(scope="module")
def rows(validation):
    maps, truth = validation
    return search(maps.items(), truth)


# e and s of the published method, by finder
PUBLISHED = {
    "morphology": ((2, 4, 6), (0.6, 1.0, 1.4)),
    "crocker_grier": ((0.15, 0.25, 0.35), (0.4, 0.7, 1.0)),
    "nms": ((0.4, 0.5, 0.6), (0.4, 0.7, 1.0)),
}


@pytest.mark.parametrize(("name", "numbers"), PUBLISHED.items())
def test_the_grid_of_a_published_finder_is_the_published_nine_settings(name, numbers):
    all_e, all_s = numbers
    assert FINDERS[name].settings()[:9] == [FINDERS[name].from_published(e, s) for e in all_e for s in all_s]
    assert len(FINDERS[name].settings()) == 9 + len(FINDERS[name].more)


def test_close_maxima_of_a_weak_map_are_found_by_the_finer_setting_alone():
    centers = np.array([[20.0, 20.0], [29.0, 20.0], [60.0, 50.0]])
    y, x = np.mgrid[:80, :80]
    weak = sum(0.3 * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * 2.5**2)) for a, b in centers)
    found = {setting: len(find_centers(weak, setting, diameter_px=D)) for setting in FINDERS["nms"].settings()}
    *of_grid, finer = found.values()
    assert finer == 3 and max(of_grid) < 3


def test_search_tries_the_grid_of_every_finder(rows):
    settings = [setting for finder in FINDERS.values() for setting in finder.settings()]
    assert all_settings() == settings and len(set(settings)) == len(rows)
    assert rows["finder"].tolist() == [setting.name for setting in settings]
    assert set(rows["finder"]) == set(FINDERS)


@pytest.mark.parametrize("name", FINDERS)
def test_a_name_alone_is_in_the_grid_of_its_finder(name):
    assert settings_to_try(name) == [FINDERS[name]()] and FINDERS[name]() in FINDERS[name].settings()


@pytest.mark.parametrize("name", FINDERS)
def test_no_parameter_has_the_name_of_a_measure(name, rows):
    measures = rows.columns[rows.columns.get_loc("ap") :]
    assert set(measures).isdisjoint(FINDERS[name].model_fields)


def test_a_file_of_an_earlier_version_is_read():
    old = {"network": "network.pt", "finder": "morphology", "e": 4.0, "s": 1.0, "threshold": 0.4}
    setting = finder_of_file(old)
    # r/8 + r/8 of the radius, and 50 px of a particle of 100 px
    assert setting.erosion_diameters == 0.125 and setting.min_area_squared_diameters == 0.005
    assert finder_of_file({"finder": setting.model_dump(), "threshold": 0.4}) == setting
    with pytest.raises(UserError, match=r"centers\.yaml, finder: hough is not known; use one of morphology"):
        finder_of_file(old | {"finder": "hough"})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "nms", "e": 0.5}, "/nms: unknown key 'e'; known are cell_diameters, min_distance"),
        (
            {"name": "nms", "cell_diameters": 0},
            r"/nms/cell_diameters: 0 is too small; give more than 0",
        ),
        ({"name": "nms", "cell_diameters": "0.5"}, "/nms/cell_diameters: '0.5' is text, not a number"),
        ({}, f": 'None' is not known; use one of {', '.join(FINDERS)}"),
    ],
)
def test_wrong_parameters_are_refused_in_one_line(given, message):
    with pytest.raises(UserError, match=f"^centers/finder{message}"):
        settings_to_try(given)


def test_parameters_of_the_config_are_in_the_table_and_in_the_file(validation):
    maps, truth = validation
    given = {"name": "nms", "min_distance_diameters": 0.6, "sigma_diameters": 0.2}
    settings = settings_to_try(given)
    scored = scores_by_setting(maps.items(), truth, diameter_px=D, settings=settings)
    (row,) = search_table(scored).to_dict("records")
    assert {key: row[key] for key in given if key != "name"} == {key: given[key] for key in given if key != "name"}
    assert pick_settings(settings[0], scored[settings[0]])["finder"] == Nms(**given).model_dump()
    assert given_settings(given, 0.5) == {"finder": Nms(**given).model_dump(), "threshold": 0.5}
    assert given_settings("search", 0.5)["finder"]["name"] == "nms"
    shown = "nms (cell_diameters 0.5, min_distance_diameters 0.6, sigma_diameters 0.2)"
    assert str(settings[0]) == shown


# of every finder a first, a middle or a last setting: the grids have nine
@pytest.mark.parametrize("number", range(0, len(all_settings()), 5))
def test_rows_equal_finding_and_scoring_one_setting_alone(validation, rows, number):
    maps, truth = validation
    row = rows.iloc[number]
    found = []
    for name, image in maps.items():
        table = find_centers(image, all_settings()[number], diameter_px=D, threshold=row["threshold"])
        found.append(table.assign(micrograph=name))
    scored = score_micrographs(truth, pd.concat(found), maps, diameter_px=D)
    pooled = pool_scores(list(scored.values()))
    assert row["n_picks"] == pooled.counts.n_picks
    assert row["n_truth"] == len(truth)
    for name in ("precision", "recall", "f1"):
        assert row[name] == pytest.approx(float(getattr(picks, name)(pooled.counts)))
    assert row["map_paper"] == pytest.approx(map_paper(pooled))


def test_choice_is_the_best_row_by_its_criterion(rows):
    for criterion in ("ap", "f1", "map_paper"):
        assert rows.loc[choose(rows, criterion), criterion] == rows[criterion].max()
    assert rows.loc[choose(rows), "f1"] > 0.9


def test_equals_are_settled_by_f1_then_by_order():
    rows = pd.DataFrame(
        {
            "finder": list("abcd"),
            "ap": [0.5, 0.7, 0.7, 0.7],
            "f1": [0.9, 0.6, 0.8, 0.8],
            "threshold": 0.1,
        }
    )
    assert choose(rows) == 2


def test_target_precision_sets_the_threshold(validation):
    maps, truth = validation
    rows = search(maps.items(), truth, settings=NMS, target_precision=0.97)
    assert (rows["precision"] >= 0.97).all()
    beyond = search(maps.items(), truth, settings=NMS, target_precision=1.01)
    assert beyond["threshold"].isna().all() and beyond["f1"].isna().all()
    with pytest.raises(UserError, match="lower the target precision"):
        choose(beyond)


def test_maps_may_come_from_a_generator(validation, rows):
    maps, truth = validation
    again = search(((name, image) for name, image in maps.items()), truth, settings=NMS)
    pd.testing.assert_frame_equal(again, rows.loc[rows["finder"] == "nms", again.columns].reset_index(drop=True))


def test_micrograph_without_truth_and_empty_map_count(validation):
    maps, truth = validation
    more = {**maps, "empty": np.zeros((160, 160)), "no truth": maps["a"]}
    rows = search(more.items(), truth, settings=NMS)
    assert (rows["n_truth"] == len(truth)).all()
    assert (rows["precision"] < 0.75).all()


def test_bad_calls_are_said(validation, rows):
    with pytest.raises(UserError, match="no micrograph of the validation part"):
        search([], validation[1])
    with pytest.raises(UserError) as error:
        choose(rows, "mAP")
    assert str(error.value) == "search criterion: mAP is unknown; give one of ap, f1, map_paper"


def test_threshold_lies_halfway_to_the_next_candidate():
    # two discs of probability 0.9 that are particles, one of 0.6 that is not: any threshold between picks the same
    places = np.array([[40.0, 40.0], [120.0, 40.0], [40.0, 120.0]])
    image = np.zeros((160, 160), dtype=np.float32)
    for place, height in zip(places, (0.9, 0.9, 0.6), strict=True):
        image += height * discs(image.shape, place[None], D)
    truth = pd.DataFrame({"micrograph": "a", "x": places[:2, 0], "y": places[:2, 1]})
    settings = [chosen_finder(name) for name in FINDERS]
    for row in search([("a", image)], truth, settings=settings).itertuples():
        assert row.f1 == 1
        assert row.threshold == pytest.approx(0.75, abs=0.01)


def test_order_of_the_settings_changes_no_score(validation, rows):
    maps, truth = validation
    mixed = [NMS[4], chosen_finder("morphology"), NMS[0], NMS[3]]
    some = search(maps.items(), truth, settings=mixed)
    np.testing.assert_array_equal(some["ap"], rows["ap"].iloc[[all_settings().index(setting) for setting in mixed]])


def test_what_pick_needs_is_plain_and_says_what_to_expect(validation):
    maps, truth = validation
    setting = chosen_finder("nms")
    score = scores_by_setting(maps.items(), truth, diameter_px=D, settings=[setting])[setting]
    chosen = pick_settings(setting, score)
    assert yaml.safe_load(yaml.safe_dump(chosen)) == chosen
    counts = counts_at_threshold(score, chosen["threshold"])
    assert chosen["expected_precision"] == counts.n_matched / counts.n_picks
    assert chosen["expected_recall"] == counts.n_matched / counts.n_truth
    # isotonic regression keeps the mean: over all candidates the expected precision is the observed one
    expected = apply_calibration(score.scores, pd.DataFrame(chosen["calibration"]))
    assert expected.mean() == pytest.approx(score.true.mean())
    assert (np.diff(chosen["calibration"]["precision"]) >= 0).all()
    with pytest.raises(UserError, match="lower the target precision"):
        pick_settings(setting, score, target_precision=1.01)
    empty = scores_by_setting([("a", np.zeros((60, 60)))], truth, diameter_px=D, settings=[setting])[setting]
    with pytest.raises(UserError, match="no finder setting gives usable centres"):
        pick_settings(setting, empty)


def test_what_a_rule_drops_does_not_count(validation):
    maps, truth = validation
    setting = chosen_finder("nms")
    left = truth[truth["x"] < 80]

    asked = []

    def keep(micrograph):
        asked.append(micrograph)
        return lambda found: found[found["x"] < 80]

    (score,) = scores_by_setting(maps.items(), left, diameter_px=D, settings=[setting], keep=keep).values()
    (everywhere,) = scores_by_setting(maps.items(), left, diameter_px=D, settings=[setting]).values()
    assert asked == list(maps)
    assert score.counts.n_picks < everywhere.counts.n_picks
    assert precision(score.counts) > precision(everywhere.counts) + 0.2
