"""Verdict on micrographs: measures with known answers, and the rules."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import ValidationError

from crisp_core.classes import CARBON, CLASSES, CONTAMINANT, PARTICLE
from crisp_core.evaluation.curation import (
    MEASURES,
    RULES,
    add_verdicts,
    class_shares,
    image_measures,
    judge,
    measure_micrograph,
    pick_measures,
    power_direction,
)
from crisp_core.evaluation.settings import CurationSettings
from crisp_core.formats.arrays import Grid


def noise(shape=(256, 320), seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def waves(shape, length_px, angle_deg, amplitude=1.0):
    y, x = np.mgrid[: shape[0], : shape[1]]
    angle = np.deg2rad(angle_deg)
    return amplitude * np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / length_px)


def picks_at(xy, score=0.8):
    return pd.DataFrame({"x": [float(x) for x, _ in xy], "y": [float(y) for _, y in xy], "score": score})


def test_shares_are_of_the_valid_area_and_of_the_networks_classes():
    label = np.zeros((10, 10), dtype=np.uint8)
    label[:2], label[2:3], label[9:] = PARTICLE, CONTAMINANT, CARBON
    valid = np.ones((10, 10), dtype=bool)
    valid[9:] = False
    shares = class_shares(label, valid, CLASSES)
    assert shares == pytest.approx(
        {"particle_share": 20 / 90, "contaminant_share": 10 / 90, "carbon_share": 0, "empty_share": 60 / 90}
    )
    two = class_shares(label, valid, ["background", "particle"])
    assert np.isnan(two["carbon_share"]) and np.isnan(two["contaminant_share"]) and two["particle_share"] > 0.2


def test_power_of_waves_has_their_direction_and_noise_has_none():
    assert power_direction(noise()) < 0.03
    assert power_direction(waves((256, 320), 5, 30)) > 0.8
    # two directions at a right angle cancel
    crossed = waves((256, 256), 5, 30) + waves((256, 256), 5, 120)
    assert power_direction(crossed) < 0.1
    # as drift by 6 px leaves it
    drifted = np.apply_along_axis(lambda row: np.convolve(row, np.ones(6) / 6, "same"), 1, noise())
    assert power_direction(drifted) > 0.2


@pytest.mark.parametrize(
    ("name", "added"),
    [
        ("mottle", waves((256, 320), 40, 20)),
        ("ice_gradient", waves((256, 320), 600, 70, 0.5)),
    ],
)
def test_waves_are_seen_by_the_measure_of_their_length_alone(name, added):
    usable = np.ones((256, 320), dtype=bool)
    plain, changed = (image_measures(image, usable, diameter_px=25) for image in (noise(), noise() + added))
    assert changed[name] > 3 * plain[name]
    others = {"mottle", "direction"} - {name}
    assert all(changed[other] < plain[other] + 0.25 for other in others)
    # no unit and no offset counts
    scaled = image_measures(7 + 3 * (noise() + added), usable, diameter_px=25)
    assert scaled == pytest.approx(changed, rel=1e-3, abs=1e-3)


def test_unusable_area_does_not_count():
    usable = np.ones((256, 320), dtype=bool)
    usable[:, 200:] = False
    image = noise()
    film = np.where(usable, image, -40.0)
    plain, masked = (image_measures(each, usable, diameter_px=25) for each in (image, film))
    assert masked == pytest.approx(plain, abs=0.05)
    assert image_measures(film, np.ones_like(usable), diameter_px=25)["ice_gradient"] > 5
    assert all(np.isnan(value) for value in image_measures(image, usable & False, diameter_px=25).values())


def test_picks_are_counted_per_area():
    picks = picks_at([(100, 100), (110, 100), (300, 300), (900, 900)])
    # 1000 × 1000 px at 10 Å/px are 1 µm²
    measures = pick_measures(picks, area_px=1e6, diameter_px=20, pixel_size=10)
    expected = {"n_picks": 4, "picks_per_um2": 4, "picked_share": 4 * np.pi * 100 / 1e6, "median_score": 0.8}
    assert measures == pytest.approx(expected | {"aggregation": 0.5})
    none = pick_measures(picks[:0], area_px=1e6, diameter_px=20, pixel_size=10)
    assert none["n_picks"] == none["aggregation"] == 0 and np.isnan(none["median_score"])


GOOD_MEASURES = {
    **{"particle_share": 0.1, "contaminant_share": 0.0, "carbon_share": 0.0, "empty_share": 0.9, "ice_gradient": 0.1},
    **{"mottle": 0.2, "direction": 0.02, "n_picks": 80, "picks_per_um2": 100, "picked_share": 0.15},
    **{"median_score": 0.9, "aggregation": 0.1},
}


def test_every_rule_gives_its_verdict_with_its_reason():
    assert judge(GOOD_MEASURES, CurationSettings()) == ("good", "")
    assert set(GOOD_MEASURES) == set(MEASURES)
    for rule in RULES:
        settings = CurationSettings.of({rule.setting: [0.5, 0.25] if rule.too_low else [0.5, 0.75]})
        values = (0.4, 0.2) if rule.too_low else (0.6, 0.8)
        for value, expected in zip(values, ("doubtful", "bad"), strict=True):
            verdict, reason = judge(GOOD_MEASURES | {rule.measure: value}, settings)
            assert (verdict, reason) == (expected, rule.words.format(value=value))
        assert judge(GOOD_MEASURES | {rule.measure: np.nan}, settings)[0] == "good"
        off = CurationSettings.of({rule.setting: None})
        assert judge(GOOD_MEASURES | {rule.measure: values[1]}, off)[0] == "good"


def test_the_verdict_follows_the_name():
    table = add_verdicts(pd.DataFrame([{"micrograph": "a", **GOOD_MEASURES}]), CurationSettings())
    assert [*table.columns] == ["micrograph", "verdict", "reason", *GOOD_MEASURES]
    assert table.loc[0, "verdict"] == "good"
    none = add_verdicts(pd.DataFrame(columns=["micrograph", *MEASURES]), CurationSettings())
    assert len(none) == 0 and "verdict" in none


def test_reasons_for_bad_come_first():
    verdict, reason = judge(GOOD_MEASURES | {"mottle": 0.65, "picked_share": 0.0}, CurationSettings())
    assert verdict == "bad"
    assert reason.startswith("few particles: picks cover 0.00% of the area; blotches")


@pytest.mark.parametrize(("key", "pair"), [("mottle_max", [0.6, 0.4]), ("picked_share_min", [0.1, 0.2])])
def test_a_pair_in_the_wrong_order_is_refused(key, pair):
    with pytest.raises(ValidationError, match=f"comes before {pair[0]:g}, doubtful; swap them"):
        CurationSettings.of({key: pair})


def test_a_micrograph_has_all_measures():
    grid = Grid((256, 320), 10.0, (512, 640))
    label = np.zeros(grid.shape, dtype=np.uint8)
    measures = measure_micrograph(
        *(noise(), np.ones(grid.shape), label, picks_at([(50, 50)])),
        **{"classes": CLASSES, "grid": grid, "diameter_angstrom": 250.0},
    )
    assert set(measures) == set(MEASURES)
    # 512 × 640 px at 5 Å/px; the disc is 50 px wide
    assert measures["picked_share"] == pytest.approx(np.pi * 25**2 / (512 * 640))
    assert measures["picks_per_um2"] == pytest.approx(1 / (512 * 640 * 25e-8))


@pytest.mark.real
def test_crystalline_ice_is_mottled_and_good_ice_is_not(shared_data):
    measures = {}
    for path in sorted((shared_data / "micassess").rglob("*.png")):
        image = np.asarray(Image.open(path).convert("L"), dtype=float)
        found = image_measures(image, np.ones(image.shape, dtype=bool), diameter_px=15)
        measures.setdefault(path.parent.name[0], []).append(found["mottle"])
    assert max(measures["0"] + measures["1"]) < CurationSettings().mottle_max[0]
    assert min(measures["4"]) > CurationSettings().mottle_max[1]
