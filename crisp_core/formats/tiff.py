"""Reading TIFF files of one image."""

import logging
import math
from pathlib import Path

import numpy as np
import tifffile

from crisp_core.errors import UserError
from crisp_core.formats.image_checks import average_colours, check_pixel_count

TIFF_SUFFIXES = (".tif", ".tiff")
# Maximum bytes of a TIFF file beyond its image and tags; more are taken for a hidden stack.
SPARE_BYTES = 4096
# The library reports every odd tag of a damaged file; CRISP refuses the file in one line.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


def read_tiff(path: Path) -> np.ndarray:
    """Read the image (y, x) of a TIFF file; thumbnails do not count, and colours are averaged.

    Raises
    ------
    UserError
        If the file is not a readable TIFF file of one image of grey values or colours.
    """
    try:
        with tifffile.TiffFile(path) as file:
            pages = [page for page in _tiff_pages(file) if not page.is_reduced]
            if len(pages) != 1:
                raise UserError(
                    f"{path}: holds {len(pages)} pages, so it is a movie or a stack; give its motion-corrected average"
                )
            _check_one_image(path, file, pages[0])
            _check_grey_page(path, pages[0])
            check_pixel_count(path, *pages[0].shape)
            colours = pages[0].asarray()
            return average_colours(np.moveaxis(colours, 0, -1) if pages[0].axes == "SYX" else colours)
    except UserError:
        raise
    except Exception as error:  # for a damaged file, tifffile's decoders raise many kinds of errors
        raise UserError(f"{path}: is not a readable TIFF file ({error}); copy or convert it again") from None


def _tiff_pages(file: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    """All pages, with the pages below another page (SubIFDs)."""
    pages = [_whole_page(file.pages[i]) for i in range(len(file.pages))]
    below = [page.pages for page in pages if page.subifds and page.pages is not None]
    return pages + [_whole_page(one[i]) for one in below for i in range(len(one))]


def _whole_page(page: tifffile.TiffPage | tifffile.TiffFrame) -> tifffile.TiffPage:
    return page if isinstance(page, tifffile.TiffPage) else page.aspage()


def _check_one_image(path: Path, file: tifffile.TiffFile, page: tifffile.TiffPage) -> None:
    """Refuse a stack behind a single page, which ImageJ and others write, with or without metadata about it."""
    n_images = [int((file.imagej_metadata or {}).get("images", 1))]
    n_images += [math.prod(entry.get("shape", ())) // math.prod(page.shape) for entry in file.shaped_metadata or ()]
    used = sum(
        sum(one.databytecounts) + sum(tag.valuebytecount for tag in one.tags) + 20 * len(one.tags) + 16
        for one in _tiff_pages(file)
    )
    spare = path.stat().st_size - used
    if max(n_images) > 1 or spare > max(sum(page.databytecounts), SPARE_BYTES):
        raise UserError(
            f"{path}: has a stack of images or other data behind its only page; give its motion-corrected average"
        )


def _check_grey_page(path: Path, page: tifffile.TiffPage) -> None:
    """Refuse a page that is not an image of grey values or colours, or has an unknown compression."""
    photometric, compression = (getattr(kind, "name", str(kind)) for kind in (page.photometric, page.compression))
    n_colours = page.samplesperpixel - len(page.extrasamples)
    if page.dtype is None or page.dtype.kind not in "biuf":
        raise UserError(f"{path}: its pixels are not plain numbers ({page.dtype}); write grey values")
    if photometric not in ("MINISBLACK", "RGB", "YCBCR") or n_colours != (1 if photometric == "MINISBLACK" else 3):
        raise UserError(
            f"{path}: is a TIFF of kind {photometric} with {page.samplesperpixel} values per pixel; "
            "write one grey image"
        )
    if any(int(kind) == 0 for kind in page.extrasamples):
        raise UserError(
            f"{path}: holds {page.samplesperpixel} values per pixel, so it is a stack; write one grey image"
        )
    try:
        tifffile.TIFF.DECOMPRESSORS[page.compression]
    except KeyError:
        raise UserError(
            f"{path}: is compressed by {compression}, which cannot be read; write it again with LZW or Deflate, or "
            "without compression"
        ) from None
