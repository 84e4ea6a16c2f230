"""Random volumes without a file: hollow shells, as of ferritin and capsids, and lumpy shapes with symmetry."""

import numpy as np
from scipy.spatial.transform import Rotation

from crisp_core.geometry import even_fft_size
from crisp_core.simulation.library import LibraryVolume, longest_extent

# Softness of every surface, in voxels.
SOFT_PX = 0.8
# The twelve corners of an icosahedron, on a sphere; with m they give the shell's faces.
GOLDEN = (1 + np.sqrt(5)) / 2
ICOSAHEDRON = np.array(
    [(0, a, b * GOLDEN) for a in (-1, 1) for b in (-1, 1)]
    + [(a, b * GOLDEN, 0) for a in (-1, 1) for b in (-1, 1)]
    + [(b * GOLDEN, 0, a) for a in (-1, 1) for b in (-1, 1)]
) / np.sqrt(1 + GOLDEN**2)
# Share of an icosahedron's circumscribed radius at which its faces' planes lie, for planes across its corners.
FACE = 0.9


def random_shell(extent_px: float, rng: np.random.Generator) -> LibraryVolume:
    """Draw a hollow shell: round to faceted, thin to thick, smooth or of subunits, at times with something inside.

    Parameters
    ----------
    extent_px : float
        Outer diameter in voxels.
    rng : numpy Generator
    """
    radius = extent_px / 2
    thickness = rng.uniform(0.12, 0.4) * radius
    facets, bumps = rng.uniform(0, 1) * rng.integers(2), rng.uniform(0, 0.5)
    x, y, z = grid_axes(extent_px)
    directions = np.vstack([ICOSAHEDRON, rng.normal(size=(int(rng.integers(0, 20)), 3))])
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    distance = np.sqrt(x**2 + y**2 + z**2)
    planes = np.max([a * x + b * y + c * z for a, b, c in ICOSAHEDRON], axis=0) / FACE
    gauge = np.maximum(distance, facets * planes + (1 - facets) * distance)
    shell = _inside(radius - gauge) - _inside(radius - thickness - gauge)
    # Subunits: denser lumps on the shell's middle, and less between them.
    middle = radius - thickness / 2
    spots = Rotation.random(random_state=rng).apply(directions) * middle
    width = max(thickness / 2, 1.5)
    lumps = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / (2 * width**2)) for a, b, c in spots)
    shell *= 1 - bumps + bumps * np.minimum(lumps, 1.5)
    if rng.random() < 0.3:
        shell += rng.uniform(0.1, 0.6) * _inside(radius - 1.3 * thickness - distance)
    return LibraryVolume(shell.astype(np.float32), extent_px, 1.0)


def random_blob(extent_px: float, rng: np.random.Generator) -> LibraryVolume:
    """Draw a lumpy shape: a walk of touching balls, repeated by a cyclic or dihedral symmetry.

    Parameters
    ----------
    extent_px : float
        Longest extent in voxels.
    rng : numpy Generator
    """
    order = int(rng.choice([1, 1, 2, 2, 3, 4, 5, 6, 7]))
    n_balls = int(rng.integers(1, 9 if order > 1 else 14))
    balls = rng.uniform(0.6, 1.3, n_balls)
    centers = np.zeros((n_balls, 3))
    for i in range(1, n_balls):
        step = rng.normal(size=3) * (1, 1, rng.uniform(0.3, 1))
        origin = int(rng.integers(max(0, i - 3), i))
        centers[i] = centers[origin] + step / np.linalg.norm(step) * 0.8 * (balls[i] + balls[origin])
    if order > 1:
        # Far enough from the axis for a ring, near enough to touch the next copy.
        centers[:, 0] += rng.uniform(0.5, 1.1) * balls[0] / np.sin(np.pi / order)
    turns = [Rotation.from_euler("z", 2 * np.pi * k / order) for k in range(order)]
    if rng.random() < 0.4:
        centers[:, 2] += rng.uniform(0.3, 0.9) * balls[0]
        turns += [turn * Rotation.from_euler("x", np.pi) for turn in turns]
    places = np.vstack([turn.apply(centers) for turn in turns])
    places -= (places.max(axis=0) + places.min(axis=0)) / 2
    radii = np.tile(balls, len(turns))
    # The extent of the outermost points of all balls, seen from 26 directions each.
    compass = np.array(
        [(a, b, c) for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1) if (a, b, c) != (0, 0, 0)]
    )
    compass = compass / np.linalg.norm(compass, axis=1)[:, None]
    rim = (places[:, None] + radii[:, None, None] * compass).reshape(-1, 3)
    scale = extent_px / longest_extent(rim)
    x, y, z = grid_axes(extent_px + 2 * scale * float(radii.max()))
    density = np.zeros(np.broadcast_shapes(x.shape, y.shape, z.shape))
    for (a, b, c), radius in zip(places * scale, radii * scale, strict=True):
        density = np.maximum(density, _inside(radius - np.sqrt((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2)))
    return LibraryVolume(density.astype(np.float32), extent_px, 1.0)


def grid_axes(extent_px: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Axes x, y, z that broadcast to [z, y, x], 0 at voxel n // 2, of a cube with room for an extent."""
    n = even_fft_size(extent_px + 6)
    axis = np.arange(n) - n // 2.0
    return axis[None, None, :], axis[None, :, None], axis[:, None, None]


def _inside(depth_px: np.ndarray) -> np.ndarray:
    """Density at a depth below a soft surface: 0 outside, 1 inside."""
    return 1 / (1 + np.exp(np.clip(-depth_px / (SOFT_PX / 2), -30, 30)))
