"""Tables and files that tests of several coordinate formats use."""

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from crisp_core.formats.coordinates.registry import read_coordinates

NAME = "May08_04.33.57"


def table(xy=((0, 0), (1.25, 4095.75), (100, 7)), scores=None, micrograph=NAME):
    x, y = np.array(xy, dtype=float).reshape(-1, 2).T
    names = pd.Series([micrograph] * len(x), dtype="str")
    scores = np.full(len(x), np.nan) if scores is None else np.asarray(scores, dtype=float)
    return pd.DataFrame({"micrograph": names, "x": x, "y": y, "score": scores})


coordinate = st.floats(min_value=-50, max_value=12000, allow_nan=False)


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\\"), min_size=1, max_size=8)


def read(path, content, **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_coordinates(path, **options)


def rows(frame):
    return frame[["x", "y", "score"]].to_numpy().tolist()


XY = "_rlnCoordinateX #1\n_rlnCoordinateY #2\n"


def blocks(**rows):
    return "".join(f"data_{name}\n\nloop_\n{XY}{lines}\n\n" for name, lines in rows.items())


def star_row(**columns):
    labels = "".join(f"_{label}\n" for label in columns)
    return f"data_\n\nloop_\n{labels}{' '.join(map(str, columns.values()))}\n"
