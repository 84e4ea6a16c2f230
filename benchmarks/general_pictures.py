"""Contact sheet of a network on a test set: micrograph with picks, outlines, and probability of every micrograph."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from general_entries import Network, map_file
from general_sets import TestSet
from PIL import Image

from crisp_core.evaluation.matching import MATCH_FRACTION, match_one_to_one
from crisp_core.figures.overlays import draw_overlay
from crisp_core.figures.style import save_figure
from crisp_core.formats.images import read_micrograph
from crisp_core.geometry import rescaled_xy

# Width of an overlay on the sheet, px, and the number of them in a row.
WIDTH_PX, COLUMNS = 1100, 2


def draw_sheet(path: Path, test: TestSet, picks: pd.DataFrame, network: Network, folder: Path) -> None:
    """Draw the overlays of all micrographs and put them on one sheet.

    Parameters
    ----------
    path : Path
        Picture to write.
    test : TestSet
    picks : DataFrame
        Picks as delivered: micrograph, x, y in pixels of the micrographs.
    network : Network
    folder : Path
        Results of this benchmark, with the maps.
    """
    panels = [
        overlay(row, test.truth, picks, map_file(folder, network, test.name, row.micrograph))
        for row in test.micrographs.itertuples()
    ]
    height = max(panel.height for panel in panels)
    sheet = Image.new("RGB", (COLUMNS * WIDTH_PX, -(-len(panels) // COLUMNS) * height), "white")
    for i, panel in enumerate(panels):
        sheet.paste(panel, (i % COLUMNS * WIDTH_PX, i // COLUMNS * height))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=82)


def overlay(row: tuple, truth: pd.DataFrame, picks: pd.DataFrame, maps: Path) -> Image.Image:
    """Draw one micrograph at the working resolution of the network."""
    name, own = row.micrograph, read_micrograph(row.path, pixel_size=row.pixel_size).image.shape
    with np.load(maps, allow_pickle=False) as stored:
        image, probability = (stored[key].astype(np.float32) for key in ("image", "probability"))
        pixel_size = float(stored["pixel_size"])
    on_map = [
        pd.DataFrame(
            rescaled_xy(table.loc[table["micrograph"] == name, ["x", "y"]], own, image.shape), columns=["x", "y"]
        )
        for table in (picks, truth)
    ]
    diameter_px = row.diameter_angstrom / pixel_size
    pairs = match_one_to_one(*(each.to_numpy() for each in on_map[::-1]), max_distance_px=MATCH_FRACTION * diameter_px)
    found, true = (
        table.assign(matched=np.isin(np.arange(len(table)), matched))
        for table, matched in zip(on_map, (pairs.pick, pairs.truth), strict=True)
    )
    title = f"{name}: {len(pairs.pick)} of {len(true)} found, {len(found) - len(pairs.pick)} more"
    figure = draw_overlay(
        image, None, probability, found, true, diameter_px=diameter_px, title=title, pixel_size=pixel_size
    )
    drawn = io.BytesIO()
    save_figure(figure, drawn)
    picture = Image.open(drawn).convert("RGB")
    return picture.resize((WIDTH_PX, round(picture.height * WIDTH_PX / picture.width)), Image.Resampling.LANCZOS)
