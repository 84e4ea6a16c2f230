"""True particles on a grid of a micrograph of 600 × 800 px, with poses and a defocus."""

import numpy as np
import pandas as pd

from crisp_core.formats.poses import ANGLE_LABELS, ORIGIN_LABELS

SHAPE = (600, 800)
RLN_ANGLES, RLN_ORIGINS = list(ANGLE_LABELS.values()), list(ORIGIN_LABELS.values())


def true_particles(name, n=30, seed=0):
    rng = np.random.default_rng(seed)
    xy = np.stack(np.meshgrid(np.arange(6) * 120 + 60, np.arange(5) * 110 + 60), axis=-1).reshape(-1, 2)[:n]
    table = pd.DataFrame({"micrograph": name, "x": xy[:, 0], "y": xy[:, 1], "score": np.nan})
    table[["x", "y"]] += rng.uniform(0, 9, (n, 2))
    table[RLN_ANGLES] = rng.uniform(-90, 90, (n, 3))
    return table.assign(rlnDefocusU=15000.0 + seed, rlnDefocusV=14000.0, rlnDefocusAngle=20.0)
