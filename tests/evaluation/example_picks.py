"""Small sets of true particles and picks."""

import numpy as np
import pandas as pd

from crisp_core.evaluation.pick_tables import _measures
from crisp_core.evaluation.scores import score_picks

D = 10.0


def scored(truth, found, scores=None, **options):
    scores = np.linspace(1, 0.5, len(found)) if scores is None else scores
    return score_picks(np.array(truth), np.array(found), np.array(scores), diameter_px=D, **options)


def measures_of(score, pixel_size):
    return _measures(score, score, pixel_size)


def random_case(seed, n=60, m=80, side=60):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, side, (n, 2)), rng.uniform(0, side, (m, 2)), rng.integers(0, 12, m) / 11


def example_tables():
    truth = pd.DataFrame({"micrograph": ["a", "a", "b", "z"], "x": [0.0, 30, 0, 0], "y": 0.0})
    found = pd.DataFrame({"micrograph": ["a", "c", "a", "a"], "x": [1.0, 5, 31, 60], "y": 0.0, "score": 0.5})
    return truth, found
