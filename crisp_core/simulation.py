"""Simulated micrographs: projections of a density at known places, seen through the CTF, with white noise.

Projections are ASPIRE's; the rest is done here, since ASPIRE's own micrographs take minutes each at 4096² and its clean
images contain the CTF. Every random draw is seeded per micrograph, so batches change no result.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from crisp_core.ctf import ctf_spread_px, through_ctf
from crisp_core.errors import UserError
from crisp_core.geometry import Shape, angstrom_to_px, even_fft_size
from crisp_core.projections import place, project

# Tries per particle before a micrograph counts as full.
MAX_TRIES = 500


class SimulatedMicrograph(NamedTuple):
    """One simulated micrograph and all that is known of it."""

    image: np.ndarray  # (h, w) float32, particles dark, with CTF and noise
    clean: np.ndarray  # (h, w) float32, particles dark, with CTF
    ctf_free: np.ndarray  # (h, w) float32, particles bright, neither CTF nor noise
    coordinates: pd.DataFrame  # micrograph, x, y (px), score, rot, tilt, psi (degrees), defocus_…


def simulate_micrograph(
    volume: np.ndarray,
    *,
    name: str,
    seed: int,
    shape: Shape,
    pixel_size: float,
    n_particles: Sequence[int],
    min_distance_angstrom: float,
    margin_angstrom: float,
    defocus_angstrom: Sequence[float],
    snr: float,
    snr_pixel_size: float,
    optics: Mapping[str, float],
) -> SimulatedMicrograph:
    """Simulate one micrograph.

    Parameters
    ----------
    volume : (n, n, n) array [z, y, x]
        Density, protein positive, at `pixel_size` (see `resampled_volume` and `phantom`), n even.
    name : str
        Micrograph; with `seed` it determines every random draw.
    shape : (int, int)
        Height and width in px.
    pixel_size : float
        Å/px.
    n_particles : (int, int)
        Least and most particles.
    min_distance_angstrom, margin_angstrom : float
        Least distance of two centres, and of a centre from the edge, in Å.
    defocus_angstrom : sequence of float
        Values to draw from, Å, underfocus positive.
    snr, snr_pixel_size : float
        As in `noise_sd`.
    optics : mapping
        voltage_kv, spherical_aberration_mm, amplitude_contrast.

    Raises
    ------
    UserError
        If the particles do not fit.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))
    n = int(rng.integers(n_particles[0], n_particles[1] + 1))
    defocus = float(rng.choice(np.asarray(defocus_angstrom, dtype=float)))
    distance_px = angstrom_to_px(min_distance_angstrom, pixel_size)
    margin_px = angstrom_to_px(margin_angstrom, pixel_size)
    xy = draw_centers(shape, n, min_distance_px=distance_px, margin_px=margin_px, rng=rng)
    euler_deg = draw_rotations(n, rng)
    # What the CTF spreads over an edge must not come back in at the opposite one.
    spread_px = ctf_spread_px(pixel_size, optics["voltage_kv"], defocus)
    canvas = tuple(even_fft_size(side + spread_px) for side in shape)
    placed = place(canvas, project(volume, euler_deg), xy)
    lens = {**optics, "defocus_u_angstrom": defocus, "defocus_v_angstrom": defocus, "defocus_angle_deg": 0.0}
    clean = -through_ctf(placed, pixel_size=pixel_size, **lens)[: shape[0], : shape[1]]
    sd = noise_sd(clean, pixel_size=pixel_size, snr=snr, snr_pixel_size=snr_pixel_size)
    image = rng.standard_normal(shape, dtype=np.float32) * np.float32(sd) + clean
    coordinates = coordinates_frame(name, xy, euler_deg, defocus)
    return SimulatedMicrograph(image, clean, placed[: shape[0], : shape[1]], coordinates)


def coordinates_frame(name: str, xy: np.ndarray, euler_deg: np.ndarray, defocus_angstrom: float) -> pd.DataFrame:
    """Table of the true particles of one micrograph: positions, Euler angles and defocus."""
    table = pd.DataFrame({"micrograph": name, "x": xy[:, 0], "y": xy[:, 1], "score": np.nan})
    table[["rot", "tilt", "psi"]] = euler_deg
    table["defocus_u_angstrom"] = table["defocus_v_angstrom"] = defocus_angstrom
    table["defocus_angle_deg"] = 0.0
    return table.astype({"micrograph": str})


def noise_sd(clean: np.ndarray, *, pixel_size: float, snr: float, snr_pixel_size: float) -> float:
    """Standard deviation of white noise for a signal-to-noise ratio stated at another pixel size.

    The ratio is var(clean) / var(noise), var(clean) over the whole micrograph with CTF, empty areas included. Under
    Fourier down-sampling by a factor f, white noise keeps 1 / f² of its variance (the density of its power spectrum
    stays, the band shrinks), while a signal within the band keeps all; so at `pixel_size` the noise has
    (snr_pixel_size / pixel_size)² of the variance that it has at `snr_pixel_size`.

    Where there is no particle, 1.
    """
    variance = float(np.var(clean, dtype=np.float64))
    return float(np.sqrt(variance / snr)) * snr_pixel_size / pixel_size if variance > 0 else 1.0


def draw_centers(
    shape: Shape, n: int, *, min_distance_px: float, margin_px: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw positions uniformly, keeping those that are far enough from all before (random sequential addition).

    Parameters
    ----------
    shape : (int, int)
        Height and width in px.
    n : int
    min_distance_px, margin_px : float
        Least distance of two centres, and of a centre from the outermost pixels.
    rng : numpy Generator

    Returns
    -------
    (n, 2) array of (x, y)

    Raises
    ------
    UserError
        If they do not fit.
    """
    low = np.array([margin_px, margin_px])
    high = np.array([shape[1] - 1 - margin_px, shape[0] - 1 - margin_px])
    if n and (high < low).any():
        raise UserError(
            f"simulation/shape_px: a particle with its margin of {margin_px:.0f} px does not fit into "
            f"{shape[1]} × {shape[0]} pixels; give larger micrographs"
        )
    xy = np.empty((n, 2))
    found = 0
    for _ in range(n * MAX_TRIES):
        if found == n:
            break
        candidate = rng.uniform(low, high)
        if ((xy[:found] - candidate) ** 2).sum(axis=1).min(initial=np.inf) >= min_distance_px**2:
            xy[found] = candidate
            found += 1
    if found < n:
        raise UserError(
            f"simulation: {n} particles at least {min_distance_px:.1f} px apart do not fit into "
            f"{shape[1]} × {shape[0]} pixels, only {found} found a place; lower n_particles or min_distance_angstrom"
        )
    return xy


def draw_rotations(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw rotations uniform on SO(3), as RELION's Euler angles (rot, tilt, psi) in degrees, (n, 3).

    Uniform means: rot and psi uniform on the circle, and the cosine of tilt uniform.
    """
    rot, psi = rng.uniform(-180, 180, (2, n))
    tilt = np.degrees(np.arccos(rng.uniform(-1, 1, n)))
    return np.column_stack([rot, tilt, psi])
