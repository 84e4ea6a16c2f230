"""Pixel sizes that STAR files of coordinates state, compared with the config."""

from collections.abc import Sequence
from contextlib import suppress

from crisp_core.datasets.coordinate_files import with_listed_files
from crisp_core.datasets.pixel_sizes import equal_pixel_sizes
from crisp_core.errors import UserError
from crisp_core.formats.relion_coordinates import coordinates_block
from crisp_core.formats.relion_labels import MOVIE_PIXEL_SIZE_LABEL
from crisp_core.formats.relion_pixel_sizes import stated_micrograph_pixel_sizes, states_pixel_size
from crisp_core.formats.star import as_table, read_blocks

MOVIES = " (it differs correctly if motion correction has binned the movies)"


def pixel_size_notices(paths: Sequence[str], *, pixel_size: float, scale: float) -> list[str]:
    """One line for each micrograph pixel size that STAR files of coordinates state and that contradicts the config.

    Parameters
    ----------
    paths : sequence of str
        Coordinate files, or RELION's lists of them; files that cannot be used are skipped here.
    pixel_size : float
        Å/px of the dataset's micrographs.
    scale : float
        Factor for the coordinates, so that they count pixels of `scale * pixel_size` Å.
    """
    others: dict[tuple[float, str], list[str]] = {}
    for path in filter(states_pixel_size, with_listed_files(paths)[0]):
        with suppress(UserError):
            for size, label in _micrograph_pixel_sizes(path).items():
                if not equal_pixel_sizes(size, scale * pixel_size):
                    others.setdefault((size, label), []).append(path)
    return [
        f"{files[0]}: its {label} states pixels of {size:g} Å ({len(files)} files in all), its coordinates are taken "
        f"to count pixels of {scale * pixel_size:g} Å{MOVIES if label == MOVIE_PIXEL_SIZE_LABEL else ''}; if they were "
        f"picked on micrographs of {size:g} Å, set scale to {size / pixel_size:.6g}, or correct pixel_size"
        for (size, label), files in others.items()
    ]


def _micrograph_pixel_sizes(path: str) -> dict[float, str]:
    blocks = read_blocks(path)
    return stated_micrograph_pixel_sizes(path, coordinates_block(path, blocks), as_table(blocks.get("optics")))
