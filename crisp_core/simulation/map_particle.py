"""The particle in a density map, whose surroundings may have noise and an offset."""

import numpy as np
import scipy.ndimage

from crisp_core.errors import UserError

# Voxels above this share of the density at this quantile of all voxels are the particle.
SURFACE_SHARE, DENSE_QUANTILE = 0.25, 0.998
# Blur that shows the particle of a noisy map, as a share of the map's side, and the rims of a particle cut out tightly
# and with all of its fading density.
BLUR_SHARE, TIGHT_SHARE, WIDE_SHARE = 1 / 64, 1 / 32, 1 / 12
# Minimum size of a connected part of a map, as a share of its largest part, with and without noise around the particle;
# smaller parts are noise or dust.
MIN_PART, MIN_CLEAN_PART = 0.1, 0.01
# Limits of a map with nothing around its particle: its offset times its voxels and its negative density, as shares of
# its positive density, and the standard deviation on the faces of its box, as a share of its maximum.
MAX_OFFSET, MAX_NEGATIVE, MAX_NOISE = 0.05, 0.2, 0.02


def has_surroundings(density: np.ndarray) -> bool:
    """Whether a map (n, n, n) has an offset, noise or much negative density around its particle."""
    faces, positive = box_surface(density), float(np.sum(density, where=density > 0, dtype=float))
    offset = abs(float(np.median(faces))) * density.size
    negative = positive - float(np.sum(density, dtype=float))
    is_noisy = float(faces.std(dtype=float)) > MAX_NOISE * float(density.max())
    return offset > MAX_OFFSET * positive or negative > MAX_NEGATIVE * positive or is_noisy


def particle_alone(density: np.ndarray, *, rim_share: float = TIGHT_SHARE) -> np.ndarray:
    """Return a map (n, n, n) without its offset, and with zeros beyond a rim around its particle.

    Parameters
    ----------
    density : (n, n, n) array
        Map, protein positive; as it is if it has nothing around its particle.
    rim_share : float
        Width of the rim, as a share of the map's side.

    Raises
    ------
    UserError
        If the density is nowhere positive.
    """
    if not has_surroundings(density):
        return density
    rim_px = max(1, round(rim_share * len(density)))
    near = scipy.ndimage.maximum_filter(particle_mask(density).astype(np.uint8), size=2 * rim_px + 1)
    return np.where(near > 0, without_offset(density), 0)


def particle_mask(density: np.ndarray) -> np.ndarray:
    """Mask (n, n, n) of the particle in a map, whatever the offset and the noise around it.

    It has the largest connected part above `SURFACE_SHARE`, and others that are not specks. A map with noise is blurred
    before.

    Raises
    ------
    UserError
        If the density is nowhere positive.
    """
    is_noisy = has_surroundings(density)
    if is_noisy:
        density = scipy.ndimage.gaussian_filter(without_offset(density), BLUR_SHARE * len(density))
    parts, n = scipy.ndimage.label(density > SURFACE_SHARE * dense_level(density))
    sizes = np.bincount(parts.ravel(), minlength=n + 1)
    sizes[0] = 0
    return (sizes >= (MIN_PART if is_noisy else MIN_CLEAN_PART) * sizes.max())[parts]


def without_offset(density: np.ndarray) -> np.ndarray:
    """Map (n, n, n) with a median of 0 on the faces of its box."""
    return density - np.median(box_surface(density))


def particle_sum(density: np.ndarray) -> float:
    """Sum of the densities of a particle, without an offset, noise or a dark ring around it."""
    alone = particle_alone(density, rim_share=WIDE_SHARE)
    if alone is not density:
        # blurred, so that noise has as much positive as negative density, while a dark ring stays negative
        alone = scipy.ndimage.gaussian_filter(alone, BLUR_SHARE * len(density)).clip(min=0)
    return float(np.sum(alone, dtype=float))


def box_surface(volume: np.ndarray) -> np.ndarray:
    """Values on the six faces of a box, where a map has no particle; those of edges several times."""
    return np.concatenate([np.take(volume, (0, -1), axis=axis).ravel() for axis in range(3)])


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
