"""Pixel size at which a network sees micrographs that are coarser than it wants them; without heavy libraries."""

# Å/px of an image relative to the working pixel size at most: of a particle 27.5 px wide, 11 px must be in the image.
MOST_ENLARGED = 2.5
# Largest relative difference between the widths of a particle that a network expects and is given; docs/networks.md.
SIZE_TOLERANCE = 0.1


def seen_pixel_size(pixel_size: float, wanted: float) -> float:
    """Å/px at which a network sees an image: the one it wants, or that of the image if it is little coarser.

    So an image is enlarged only where the network would see particles smaller by more than a tenth.
    """
    return pixel_size if wanted <= pixel_size <= wanted / (1 - SIZE_TOLERANCE) else wanted


def too_coarse(pixel_size: float, wanted: float) -> bool:
    """Whether an image of a pixel size cannot be enlarged to the one that a network wants (Å/px)."""
    return pixel_size > MOST_ENLARGED * wanted
