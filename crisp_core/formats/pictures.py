"""Reading pictures: PNG and JPG."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from crisp_core.errors import UserError
from crisp_core.formats.image_checks import average_colours, check_pixel_count

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")


def read_picture(path: Path) -> np.ndarray:
    """Read the image (y, x) of a PNG or JPG file; colours are averaged.

    Raises
    ------
    UserError
        If the file is not a readable picture of one image, or has 16-bit colours or those of a palette.
    """
    kinds = ("PNG",) if path.suffix.lower() == ".png" else ("JPEG",)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=kinds) as picture:
                check_pixel_count(path, picture.height, picture.width)
                n_images = getattr(picture, "n_frames", 1)
                if n_images > 1:
                    raise UserError(f"{path}: holds {n_images} images; give its motion-corrected average")
                _check_depth(path, picture)
                pixels = np.asarray(picture if picture.mode[0] in "LIF" else picture.convert("RGB"))
                if picture.mode == "P" and np.ptp(pixels, axis=2).any():
                    raise UserError(f"{path}: its colours are those of a palette; write the grey values")
                return average_colours(pixels)
    except Image.DecompressionBombError:
        raise UserError(f"{path}: declares more pixels than any camera has; copy or convert it again") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        reason = "wrong format" if isinstance(error, UnidentifiedImageError) else error
        raise UserError(f"{path}: is not a readable {kinds[0]} file ({reason}); copy or convert it again") from None


def _check_depth(path: Path, picture: Image.Image) -> None:
    """Refuse 16-bit colours or alpha in PNG: Pillow keeps only their upper 8 bits, which may all be equal."""
    raw_modes = [str(tile[3][0] if isinstance(tile[3], tuple) else tile[3]) for tile in getattr(picture, "tile", [])]
    if picture.mode in ("RGB", "RGBA", "LA") and any(";16" in mode for mode in raw_modes):
        raise UserError(
            f"{path}: has 16 bits per colour, of which only 8 can be read; write a grey image of 16 bits, without alpha"
        )
