"""Tables that tests of several formats use."""

import math

import pandas as pd
from hypothesis import strategies as st

PATHS = {"m1": "micrographs/m1.mrc", "May08_04.33.57": "micrographs/May08_04.33.57.mrc", "bare": "micrographs/bare.mrc"}


OPTICS = {
    "voltage_kv": 300,
    "spherical_aberration_mm": 2.7,
    "amplitude_contrast": 0.1,
    "micrograph_pixel_size": 1.77,
    "pixel_size": 3.54,
    "box_px": 64,
}


def picks(**more):
    names = pd.Series(["m1", "m1", "May08_04.33.57"], dtype="str")
    table = pd.DataFrame(
        {"micrograph": names, "x": [1.25, 4095.0, 7], "y": [0.1, 2, 3.5], "score": [0.5, math.nan, -3]}
    )
    return table.assign(**more)


def ctf():
    return pd.DataFrame(
        {
            "micrograph": ["May08_04.33.57", "m1"],
            "defocus_u_angstrom": [16060.5, 15604.0],
            "defocus_v_angstrom": [15900.0, 15500.0],
            "defocus_angle_deg": [12.0, -40.0],
        }
    )


SAFE = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\\"'#"), min_size=1, max_size=6)
