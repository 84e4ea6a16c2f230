"""Diameter of an unknown particle, on invented picks of a network at several scales."""

import numpy as np
import pandas as pd
import pytest

from crisp_core.errors import UserError
from crisp_core.picking.diameter import choose_diameter, describe_scales, found_again
from crisp_core.picking.sizes import AT_EDGE, DIAMETER, LONG_AXIS, SHORT_AXIS

ASSUMED = tuple(70 * 1.25**i for i in range(9))


def looks(true_angstrom, *, best_score=0.9, n=40, noise=0.05):
    """Picks as of a good network: sizes follow the particle, scores fall with the distance from the right scale."""
    rng = np.random.default_rng(1)
    places = rng.uniform(-2000, 2000, (3 * n, 2))
    found = {}
    for assumed in ASSUMED:
        off = np.log(assumed / true_angstrom)
        size = true_angstrom * np.exp(0.3 * off) * rng.normal(0.95, noise, 3 * n)
        xy = places + rng.normal(0, 10 + 100 * abs(off), places.shape)
        found[assumed] = pd.DataFrame(
            {
                "micrograph": np.repeat(["a", "b", "c"], n),
                "x_angstrom": xy[:, 0],
                "y_angstrom": xy[:, 1],
                "score": best_score * np.exp(-(off**2)),
                DIAMETER: size,
                LONG_AXIS: size,
                SHORT_AXIS: size,
                AT_EDGE: 0,
            }
        )
    return found


@pytest.mark.parametrize("true_angstrom", [90, 123, 181, 260])
def test_the_diameter_is_found(true_angstrom):
    estimate = choose_diameter(looks(true_angstrom))
    assert estimate.diameter_angstrom == pytest.approx(true_angstrom, rel=0.1)
    assert estimate.low_angstrom < true_angstrom < estimate.high_angstrom
    assert estimate.scales["merit"].between(0, 1).all()


def test_an_unclear_diameter_is_refused():
    with pytest.raises(UserError, match="no scale shows enough particles"):
        choose_diameter(looks(150, best_score=0.1))
    with pytest.raises(UserError, match="no scale"):
        choose_diameter({150.0: looks(150)[ASSUMED[3]].iloc[:10]})
    small = {assumed: rows for assumed, rows in looks(90).items() if assumed < 150}
    lengths = [LONG_AXIS, "x_angstrom", "y_angstrom"]
    large = {3 * assumed: rows.assign(**(3 * rows[lengths])) for assumed, rows in small.items()}
    with pytest.raises(UserError, match="fit equally well"):
        choose_diameter(small | large)


def test_stability_counts_picks_of_the_same_place():
    picks = looks(150)[ASSUMED[3]]
    assert found_again(picks, picks, 1.0) == 1
    assert found_again(picks, picks.iloc[::2], 1.0) == pytest.approx(2 / 3, abs=0.01)
    assert found_again(picks, picks.assign(x_angstrom=1e6), 1.0) == 0
    assert describe_scales({150.0: picks})["stability"].tolist() == [1.0]
