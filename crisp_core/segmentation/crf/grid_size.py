"""Size of the bilateral grid, which limits the memory of a tile."""

import math
from collections.abc import Sequence

from crisp_core.errors import UserError
from crisp_core.segmentation.crf.settings import LayerSettings

# Maximum number of cells of the grid of a tile: 512 MiB in float32 with eight corners per cell.
GRID_CELLS = 2**24
# Reserve of cells for bandwidths that become smaller while they are trained.
LEARNING_RESERVE = 2


def check_cells(cells: Sequence[int], limit: int = GRID_CELLS) -> None:
    """Refuse a grid with these numbers of cells along its axes (y, x, feature) if it has more than `limit` in all.

    Raises
    ------
    UserError
        If it has.
    """
    if math.prod(cells) > limit:
        raise UserError(
            f"crf/operator: the grid of a tile has {' × '.join(map(str, cells))} cells, which are too many; give a "
            "larger crf/alpha_diameters or crf/beta, a smaller prediction/tile_px, or crf/operator pooled"
        )


def largest_grid(settings: LayerSettings, side_px: int) -> list[int]:
    """Return the number of cells (y, x, feature) of the grid of a square tile whose feature has its full range.

    Parameters
    ----------
    settings : LayerSettings
        Bandwidths, range of the feature and nodes per bandwidth.
    side_px : int
        Side of the tile in px.
    """
    positions = math.floor((side_px - 1) / settings.alpha_px * settings.grid_samples) + 1
    return [positions, positions, math.floor(2 * settings.grid_range / settings.beta * settings.grid_samples) + 1]


def check_tile(settings: LayerSettings, side_px: int) -> None:
    """Refuse a CRF whose grid may become too large for a tile, whatever the data; other operators need no check.

    Training uses small crops. This check for the tile of the prediction comes before it, so that a network that trains
    also predicts.

    Parameters
    ----------
    settings : LayerSettings
        Settings of the layer.
    side_px : int
        Side of the tiles of the prediction in px.

    Raises
    ------
    UserError
        If the grid may have more than `GRID_CELLS`, or half of that if its bandwidths are trained.
    """
    if settings.operator == "grid" and settings.appearance:
        limit = GRID_CELLS // LEARNING_RESERVE if settings.learn_kernel else GRID_CELLS
        check_cells(largest_grid(settings, side_px), limit)
