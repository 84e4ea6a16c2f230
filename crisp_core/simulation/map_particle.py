"""The particle in a density map, whose surroundings may have noise and an offset."""

import numpy as np
import scipy.ndimage

from crisp_core.errors import UserError

# Voxels above this share of the density at this quantile of all voxels are the particle.
SURFACE_SHARE, DENSE_QUANTILE = 0.25, 0.998
# Blur that shows the particle of a noisy map, as a share of the map's side, and the rims of a particle cut out tightly
# and with all of its fading density.
BLUR_SHARE, TIGHT_SHARE, WIDE_SHARE = 1 / 64, 1 / 32, 1 / 12
# Minimum size of a connected part of a map, as a share of its largest part; smaller parts are noise.
MIN_PART = 0.1
# Share of the particle's density that its surroundings may add or take.
EMPTY_SHARE = 0.2


def particle_alone(density: np.ndarray, *, rim_share: float = TIGHT_SHARE) -> np.ndarray:
    """Return a map (n, n, n) with zeros around its particle and a rim, without the map's offset.

    Parameters
    ----------
    density : (n, n, n) array
        Map, protein positive.
    rim_share : float
        Width of the rim, as a share of the map's side.

    Raises
    ------
    UserError
        If the density is nowhere positive.
    """
    distance_px = scipy.ndimage.distance_transform_edt(~particle_mask(density))
    return np.where(distance_px <= rim_share * len(density), without_offset(density), 0)


def particle_mask(density: np.ndarray) -> np.ndarray:
    """Mask (n, n, n) of the particle in a map, whatever the offset and the noise around it.

    It is that of the blurred map: the largest connected part above `SURFACE_SHARE`, and parts of at least a tenth of
    its size.

    Raises
    ------
    UserError
        If the density is nowhere positive.
    """
    blurred = scipy.ndimage.gaussian_filter(without_offset(density), BLUR_SHARE * len(density))
    parts, n = scipy.ndimage.label(blurred > SURFACE_SHARE * dense_level(blurred))
    sizes = np.bincount(parts.ravel(), minlength=n + 1)
    sizes[0] = 0
    return (sizes >= MIN_PART * sizes.max())[parts]


def without_offset(density: np.ndarray) -> np.ndarray:
    """Map (n, n, n) with a median of 0 on the faces of its box."""
    return density - np.median(box_surface(density))


def particle_sum(density: np.ndarray) -> float:
    """Sum of the densities of a particle: of all voxels, or of its own if an offset, noise or a dark ring count too."""
    own = particle_alone(density, rim_share=WIDE_SHARE).clip(min=0)
    total, alone = (float(np.sum(part, dtype=float)) for part in (density, own))
    return total if abs(total - alone) <= EMPTY_SHARE * alone else alone


def box_surface(volume: np.ndarray) -> np.ndarray:
    """Values on the six faces of a box, where a map has no particle."""
    inner = np.zeros(volume.shape, dtype=bool)
    inner[1:-1, 1:-1, 1:-1] = True
    return volume[~inner]


def dense_level(density: np.ndarray) -> float:
    """Density of the densest voxels of a map (n, n, n), those at `DENSE_QUANTILE`.

    Raises
    ------
    UserError
        If it is not positive.
    """
    level = float(np.quantile(density, DENSE_QUANTILE))
    if level <= 0:
        raise UserError("simulation/volume: a map has no positive density; give one in which protein is positive")
    return level
