"""Simulated micrographs: projections of a density at known places, seen through the CTF, with white noise.

Projections are ASPIRE's; the rest is done here, since ASPIRE's own micrographs take minutes each at 4096² and its clean
images contain the CTF. Every random draw is seeded per micrograph, so batches change no result.
"""

import contextlib
import logging.config
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.fft

from crisp_core.errors import UserError
from crisp_core.geometry import Shape, angstrom_to_px, even_fft_size

# Threads of a Fourier transform; the rule that simulates asks for as many.
WORKERS = 2
# D2 phantom: with 32 broad blobs per asymmetric unit, its projections are single, filled outlines with some detail.
PHANTOM_VOXELS, PHANTOM_BLOBS, PHANTOM_BLOB_SIZE = 64, 32, 1.5
# Share of the mass inside the sphere that counts as the particle; what is left is the blobs' faint tails.
PARTICLE_MASS = 0.98
# Tries per particle before a micrograph counts as full.
MAX_TRIES = 500
# Projections made at once: bounds the memory of the non-uniform Fourier transform.
PROJECTIONS_PER_STEP = 64
CTF_ROWS_PER_STEP = 256


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


def project(volume: np.ndarray, euler_deg: np.ndarray) -> np.ndarray:
    """Project a density along z after rotation, by ASPIRE.

    Parameters
    ----------
    volume : (n, n, n) array [z, y, x]
        The axis of rotation goes through voxel n // 2.
    euler_deg : (k, 3) array
        rot, tilt, psi in degrees: RELION's convention, intrinsic ZYZ. For even n the images are those of
        `relion_project`; for odd n RELION puts them one pixel farther right and down.

    Returns
    -------
    (k, n, n) float32 array [image, y, x]
        Sums along the line of sight: each image has the volume's sum.
    """
    from scipy.spatial.transform import Rotation

    n = len(volume)
    if not len(euler_deg):
        return np.zeros((0, n, n), dtype=np.float32)
    with quiet_aspire():
        from aspire.volume import Volume
    matrices = Rotation.from_euler("ZYZ", np.asarray(euler_deg, dtype=float), degrees=True).as_matrix()
    density = Volume(np.asarray(volume, dtype=np.float32))
    steps = np.split(matrices.astype(np.float32), range(PROJECTIONS_PER_STEP, len(matrices), PROJECTIONS_PER_STEP))
    # ASPIRE divides by the side of the box.
    return np.concatenate([density.project(step).asnumpy() for step in steps]) * np.float32(n)


def place(shape: Shape, projections: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Add projections to an empty image, each with its centre (pixel n // 2) at a position, to a fraction of a pixel.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the result.
    projections : (k, n, n) array
    xy : (k, 2) array of (x, y)
        What reaches over the edge is cut.

    Returns
    -------
    shape float32 array
    """
    image = np.zeros(shape, dtype=np.float32)
    xy = np.asarray(xy, dtype=float).reshape(-1, 2)
    whole = np.floor(xy + 0.5).astype(int)
    n = projections.shape[-1]
    for (x, y), box in zip(whole - n // 2, fourier_shifted(projections, xy - whole), strict=True):
        y0, y1 = np.clip([y, y + n], 0, shape[0])
        x0, x1 = np.clip([x, x + n], 0, shape[1])
        image[y0:y1, x0:x1] += box[y0 - y : y1 - y, x0 - x : x1 - x]
    return image


def fourier_shifted(images: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Move images (k, h, w) by (x, y) pixels each, periodically, to fractions of a pixel (Fourier shift theorem)."""
    height, width = images.shape[-2:]
    fy, fx = scipy.fft.fftfreq(height), scipy.fft.rfftfreq(width)
    x, y = np.asarray(shifts, dtype=float).T[:, :, None, None]
    phase = np.exp(-2j * np.pi * (fy[:, None] * y + fx * x)).astype(np.complex64)
    spectra = scipy.fft.rfft2(images.astype(np.float32, copy=False), workers=WORKERS)
    return scipy.fft.irfft2(spectra * phase, s=(height, width), workers=WORKERS)


def electron_wavelength_angstrom(voltage_kv: float) -> float:
    """Relativistic wavelength of an electron in Å (0.0197 at 300 kV)."""
    volts = 1e3 * voltage_kv
    return 12.2643247 / np.sqrt(volts * (1 + 0.978466e-6 * volts))


def ctf_spread_px(pixel_size: float, voltage_kv: float, defocus_angstrom: float) -> int:
    """How far the CTF moves the finest detail (Nyquist), in px: wavelength × defocus × frequency."""
    wavelength = electron_wavelength_angstrom(voltage_kv)
    return int(np.ceil(wavelength * abs(defocus_angstrom) / (2 * pixel_size) / pixel_size))


def ctf(
    shape: Shape,
    *,
    pixel_size: float,
    voltage_kv: float,
    spherical_aberration_mm: float,
    amplitude_contrast: float,
    defocus_u_angstrom: float,
    defocus_v_angstrom: float,
    defocus_angle_deg: float,
    phase_shift_deg: float = 0.0,
    rows: slice = slice(None),
) -> np.ndarray:
    """Contrast transfer function on the half-plane of `rfft2`, with RELION's sign.

    sin(π λ Δf s² − π/2 Cs λ³ s⁴ + φ + arcsin A): positive at low frequency in underfocus, A at 0. An image with dark
    protein is minus this times the projection.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image.
    pixel_size : float
        Å/px.
    voltage_kv, spherical_aberration_mm, amplitude_contrast : float
        kV, mm, fraction.
    defocus_u_angstrom, defocus_v_angstrom : float
        Along and across the axis at `defocus_angle_deg`, Å, underfocus positive.
    defocus_angle_deg : float
        From the x axis towards the y axis (down, in row order).
    phase_shift_deg : float
        Of a phase plate.
    rows : slice
        Rows of the half-plane to return, all by default.

    Returns
    -------
    (h, w // 2 + 1) float32 array

    References
    ----------
    RELION 3.1 and later, `ctf.cpp`; Rohou & Grigorieff 2015, J. Struct. Biol. 192:216, eq. 2 to 7.
    """
    fy = scipy.fft.fftfreq(shape[0], pixel_size)[rows, None]
    fx = scipy.fft.rfftfreq(shape[1], pixel_size)[None]
    wavelength = electron_wavelength_angstrom(voltage_kv)
    aberration = np.pi / 2 * 1e7 * spherical_aberration_mm * wavelength**3
    mean, half = (defocus_u_angstrom + defocus_v_angstrom) / 2, (defocus_u_angstrom - defocus_v_angstrom) / 2
    angle = np.radians(2 * defocus_angle_deg)
    # Δf s², with cos 2(θ − θ₀) written in the frequencies, which is quicker than their angle.
    defocus = (mean + half * np.cos(angle)) * fx**2 + (mean - half * np.cos(angle)) * fy**2
    defocus = defocus + 2 * half * np.sin(angle) * fx * fy
    phase = np.pi * wavelength * defocus - aberration * (fx**2 + fy**2) ** 2
    return np.sin(phase + np.radians(phase_shift_deg) + np.arcsin(amplitude_contrast)).astype(np.float32)


def through_ctf(image: np.ndarray, **optics: float) -> np.ndarray:
    """Multiply the transform of an image (h, w) by `ctf` with the given options; float32, periodic."""
    spectrum = scipy.fft.rfft2(image.astype(np.float32, copy=False), workers=WORKERS)
    for start in range(0, image.shape[0], CTF_ROWS_PER_STEP):
        rows = slice(start, start + CTF_ROWS_PER_STEP)
        spectrum[rows] *= ctf(image.shape, rows=rows, **optics)
    return scipy.fft.irfft2(spectrum, s=image.shape, workers=WORKERS, overwrite_x=True)


def phantom(diameter_px: float, *, seed: int) -> np.ndarray:
    """Make ASPIRE's random density with D2 symmetry, like a compact protein, of a given longest extent.

    Parameters
    ----------
    diameter_px : float
        Longest extent, as `measured_diameter_px` measures it.
    seed : int

    Returns
    -------
    (n, n, n) float32 array [z, y, x], n even
        A quarter longer than the diameter, maximum about 1.
    """
    with quiet_aspire():
        from aspire.volume import DnSymmetricVolume
    density = DnSymmetricVolume(
        PHANTOM_VOXELS, 1, order=2, K=PHANTOM_BLOBS, alpha=PHANTOM_BLOB_SIZE, seed=seed, dtype=np.float32
    ).generate()
    density = density.asnumpy()[0] / density.asnumpy().max()
    return resampled_volume(density, 1.0, measured_diameter_px(density) / diameter_px)


def measured_diameter_px(volume: np.ndarray) -> float:
    """Diameter of the sphere around the box's centre that holds 98 % of the positive density, in px."""
    axes = [np.arange(n) - n // 2 for n in volume.shape]
    radius = np.sqrt(sum(axis.astype(float) ** 2 for axis in np.meshgrid(*axes, indexing="ij"))).ravel()
    order = np.argsort(radius)
    mass = np.cumsum(np.clip(volume, 0, None).ravel()[order], dtype=float)
    return 2 * float(radius[order][np.searchsorted(mass, PARTICLE_MASS * mass[-1])])


def resampled_volume(volume: np.ndarray, pixel_size: float, new_pixel_size: float) -> np.ndarray:
    """Resample a density (Å per voxel) by padding it with zeros, then cropping or padding its Fourier transform.

    Returns
    -------
    (n, n, n) float32 array, n even
        As long as the given volume's longest side, to a few voxels. Voxel n // 2 is where the given volume's is, and
        densities keep their values. The padding is chosen so that the new pixel size is met to about a thousandth, and
        cut off again.
    """
    side = max(volume.shape)
    sides = np.arange(side + side % 2, side + 64, 2)
    wanted = sides * pixel_size / new_pixel_size
    new_sides = 2 * np.round(wanted / 2).astype(int)
    best = int(np.argmin(np.abs(new_sides / wanted - 1).round(6)))
    padded = _centred(np.asarray(volume, dtype=np.float32), int(sides[best]))
    spectrum = scipy.fft.fftshift(scipy.fft.fftn(scipy.fft.ifftshift(padded), workers=WORKERS))
    n = int(new_sides[best])
    resized = scipy.fft.ifftn(scipy.fft.ifftshift(_without_nyquist(_centred(spectrum, n))), workers=WORKERS)
    resized = scipy.fft.fftshift(resized.real) * np.float32((n / sides[best]) ** 3)
    return np.ascontiguousarray(_centred(resized, even_fft_size(side * pixel_size / new_pixel_size)), dtype=np.float32)


def _centred(array: np.ndarray, side: int) -> np.ndarray:
    """Crop or zero-pad to a cube, so that element n // 2 of every axis becomes element side // 2."""
    for axis, n in enumerate(array.shape):
        before = side // 2 - n // 2
        after = side - n - before
        array = array.take(range(max(0, -before), n - max(0, -after)), axis=axis)
        width = [(0, 0)] * array.ndim
        width[axis] = (max(0, before), max(0, after))
        array = np.pad(array, width)
    return array


def _without_nyquist(spectrum: np.ndarray) -> np.ndarray:
    """Remove the frequency −n/2 of an even, centred transform, which has no positive counterpart."""
    spectrum[0], spectrum[:, 0], spectrum[:, :, 0] = 0, 0, 0
    return spectrum


@contextlib.contextmanager
def quiet_aspire() -> Iterator[None]:
    """Let `import aspire` inside the block leave the working directory, the logging and the exception hook alone.

    On import ASPIRE makes a folder for its logs in the working directory, closes and replaces all log handlers and sets
    `sys.excepthook`. Here it gets a temporary folder with its settings, and what it replaces is put back.
    """
    if "aspire" in sys.modules:
        yield
        return
    directory, hook, configure = os.environ.get("ASPIREDIR"), sys.excepthook, logging.config.fileConfig
    with tempfile.TemporaryDirectory() as folder:
        settings = f"{{log_dir: '{folder}', log_exceptions: 0, tqdm_disable: true}}"
        (Path(folder) / "config.yaml").write_text(f"logging: {settings}\n", encoding="utf-8")
        try:
            os.environ["ASPIREDIR"] = folder
            logging.config.fileConfig = lambda *_, **__: None
            yield
        finally:
            logging.config.fileConfig, sys.excepthook = configure, hook
            os.environ.pop("ASPIREDIR")
            if directory is not None:
                os.environ["ASPIREDIR"] = directory
    logging.getLogger("aspire").setLevel(logging.WARNING)
