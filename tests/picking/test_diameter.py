"""Diameter of an unknown particle, on invented picks of a network at several scales."""

import numpy as np
import pandas as pd
import pytest

from crisp_core.errors import UserError
from crisp_core.picking.diameter import check_peak, choose_diameter, confidences, count_looks, found_again
from crisp_core.picking.sizes import AT_EDGE, DIAMETER, LONG_AXIS, SHORT_AXIS, SOLIDITY

ASSUMED = tuple(70 * 1.25**i for i in range(9))


def looks(true_angstrom, *, best_score=0.9, n=40, noise=0.05):
    """Picks as of a good network: sizes follow the particle, scores fall with the distance from the right scale."""
    rng = np.random.default_rng(1)
    places = rng.uniform(-2000, 2000, (3 * n, 2))
    found = {}
    for assumed in ASSUMED:
        off = np.log(assumed / true_angstrom)
        size = true_angstrom * np.exp(0.3 * off) * rng.normal(0.95, noise, 3 * n)
        xy = places + rng.normal(0, assumed * (0.05 + 0.6 * abs(off)), places.shape)
        found[assumed] = pd.DataFrame(
            {
                "micrograph": np.repeat(["a", "b", "c"], n),
                "x_angstrom": xy[:, 0],
                "y_angstrom": xy[:, 1],
                "score": best_score * np.exp(-(off**2)),
                DIAMETER: size,
                LONG_AXIS: size,
                SHORT_AXIS: size,
                SOLIDITY: 0.9,
                AT_EDGE: 0,
            }
        )
    return found


@pytest.mark.parametrize("true_angstrom", [90, 123, 181, 260])
def test_the_diameter_is_found(true_angstrom):
    estimate = choose_diameter(looks(true_angstrom))
    assert estimate.diameter_angstrom == pytest.approx(true_angstrom, rel=0.1)
    assert estimate.low_angstrom < true_angstrom < estimate.high_angstrom
    assert estimate.scales["confidence"].between(0, 1).all()


def test_an_unclear_diameter_is_refused():
    with pytest.raises(UserError, match="at no scale does the network find enough particles"):
        choose_diameter(looks(150, best_score=0.1))
    with pytest.raises(UserError, match="at no scale"):
        choose_diameter({assumed: rows.iloc[:10] for assumed, rows in looks(150).items()})
    with pytest.raises(UserError, match="at no scale"):
        choose_diameter({})
    small = {assumed: rows for assumed, rows in looks(90).items() if assumed < 150}
    lengths = [LONG_AXIS, "x_angstrom", "y_angstrom"]
    large = {3 * assumed: rows.assign(**(3 * rows[lengths])) for assumed, rows in small.items()}
    with pytest.raises(UserError, match="fit equally well"):
        choose_diameter(small | large)
    with pytest.raises(UserError, match=r"the picks at .* Å are .* Å wide"):
        choose_diameter({assumed: rows.assign(**{LONG_AXIS: 400.0}) for assumed, rows in looks(150).items()})


@pytest.mark.parametrize("flat", [2, 3, 4, 6])
def test_a_flat_peak_is_refused(flat):
    # an antibody fits as a whole, and each of its lobes fits
    confidence = np.array([0.3, *np.linspace(0.8, 0.73, flat), 0.4])
    assumed = np.array(ASSUMED[: len(confidence)])
    if flat <= 3:
        assert check_peak(assumed, confidence) == 1
    else:
        with pytest.raises(UserError, match=f"all from 88 to {assumed[flat]:.0f} Å fit equally well"):
            check_peak(assumed, confidence)


@pytest.mark.parametrize(("dip", "refused"), [(0.0, False), (0.04, False), (0.06, True), (0.5, True)])
def test_a_second_peak_is_a_rival_only_behind_a_dip(dip, refused):
    confidence = 0.9 * np.array([0.3, 0.88, 0.88 - dip, 1.0, 0.5])
    assumed = np.array(ASSUMED[: len(confidence)])
    if refused:
        with pytest.raises(UserError, match=f"{assumed[3]:.0f} and {assumed[1]:.0f} Å fit equally well"):
            check_peak(assumed, confidence)
    else:
        assert check_peak(assumed, confidence) == 3


def test_outlines_larger_than_the_estimate_are_refused():
    with pytest.raises(UserError, match="Å are 180 Å wide"):
        choose_diameter({assumed: rows.assign(**{LONG_AXIS: 180.0}) for assumed, rows in looks(150).items()})


def test_confidence_counts_picks_of_the_same_place():
    picks = looks(150)[ASSUMED[3]]
    one = picks[picks["micrograph"] == "a"]
    assert found_again(one, one, 1.0) == 40
    assert found_again(one, one.iloc[::2], 1.0) == 20
    assert found_again(one, one.assign(x_angstrom=1e6), 1.0) == 0
    same = count_looks(dict.fromkeys((100.0, 125.0, 156.0), picks))
    assert same.again.sum(axis=1).tolist() == [120, 120]
    score = picks["score"].iloc[0]
    np.testing.assert_allclose(confidences(same), [score / 2, score, score / 2])
