"""Densities: phantom, maps and atomic models, resampling, and measurement of the diameter."""

import logging
import re
import zlib
from pathlib import Path
from typing import NamedTuple

import gemmi
import numpy as np
import scipy.fft

from crisp_core.aspire_import import quiet_aspire
from crisp_core.errors import UserError
from crisp_core.formats.downloads import check_unpacked, emdb_map_url, fetch, pdb_model_url
from crisp_core.formats.settings import DownloadSettings
from crisp_core.formats.volumes import read_particle_map
from crisp_core.geometry import FFT_THREADS, even_fft_size

log = logging.getLogger("crisp")

MAP_SUFFIXES = (".mrc", ".map", ".ccp4")
MODEL_SUFFIXES = (".cif", ".mmcif", ".pdb", ".ent")
# Phantom with D2 symmetry: with 32 broad blobs per asymmetric unit, projections are single, filled outlines.
PHANTOM_VOXELS, PHANTOM_BLOBS, PHANTOM_BLOB_SIZE = 64, 32, 1.5
# Share of the mass within the diameter of a particle; the rest are the faint tails of the blobs.
PARTICLE_MASS = 0.98
# Atoms are cut off at this share of a carbon atom's peak density, which removes 6 in 10,000 of their mass.
ATOM_CUTOFF = 1e-4
# Twice the size of the largest entry of the PDB, a capsid of HIV (3J3Q, 2.4 million atoms).
MAX_MODEL_BYTES = 2**29


def phantom(diameter_px: float, *, seed: int) -> np.ndarray:
    """Make a random density with D2 symmetry, like a compact protein, by ASPIRE.

    Parameters
    ----------
    diameter_px : float
        Longest extent in px, see `measured_diameter_px`.
    seed : int
        Seed of the random density.

    Returns
    -------
    (n, n, n) float32 array [z, y, x], n even
        Density with a maximum of about 1; its side is a quarter longer than the diameter.
    """
    with quiet_aspire():
        from aspire.volume import DnSymmetricVolume
    density = DnSymmetricVolume(
        PHANTOM_VOXELS, 1, order=2, K=PHANTOM_BLOBS, alpha=PHANTOM_BLOB_SIZE, seed=seed, dtype=np.float32
    ).generate()
    density = density.asnumpy()[0] / density.asnumpy().max()
    return resample_volume(density, 1.0, measured_diameter_px(density) / diameter_px)


class Source(NamedTuple):
    """Source of a density."""

    kind: str  # map or model (files), emdb or pdb (entries of data banks)
    name: str  # path, or identifier in capitals


def volume_source(volume: str) -> Source:
    """Determine the source of a density from the form of its name.

    Raises
    ------
    UserError
        If the form is unknown.

    Examples
    --------
    >>> volume_source("maps/ribosome.map.gz")
    Source(kind='map', name='maps/ribosome.map.gz')
    >>> volume_source("pdb:5a1a")
    Source(kind='pdb', name='5A1A')
    """
    plain = volume.lower()
    if re.fullmatch(r"emd-\d{4,6}", plain):
        return Source("emdb", volume.upper())
    if re.fullmatch(r"(pdb:)?[1-9][a-z0-9]{3}", plain):
        return Source("pdb", volume.upper().removeprefix("PDB:"))
    if plain.removesuffix(".gz").removesuffix(".bz2").endswith(MAP_SUFFIXES):
        return Source("map", volume)
    if plain.removesuffix(".gz").endswith(MODEL_SUFFIXES):
        return Source("model", volume)
    raise UserError(
        f"simulation/volume: {volume!r} is not a known form; give a density map ({' '.join(MAP_SUFFIXES)}, also .gz "
        f".bz2), an atomic model ({' '.join(MODEL_SUFFIXES)}, also .gz), EMD-2984 (EMDB) or pdb:5a1a (PDB)"
    )


def read_density(
    volume: str,
    *,
    pixel_size: float,
    volume_pixel_size: float | None,
    resolution_angstrom: float,
    downloads: DownloadSettings,
) -> np.ndarray:
    """Read or download a map or an atomic model and return it as a density.

    Parameters
    ----------
    volume : str
        Path or identifier, see `volume_source`.
    pixel_size : float
        Pixel size of the result, Å/px.
    volume_pixel_size : float or None
        Pixel size of a map, Å/px, instead of that in its header; ignored for models.
    resolution_angstrom : float
        Resolution of the density of an atomic model, see `model_density`; ignored for maps.
    downloads : DownloadSettings
        Folder and addresses, see `crisp_core.formats.downloads`.

    Returns
    -------
    (n, n, n) float32 array [z, y, x], n even
        Resampled map with unchanged centre, without an offset around its particle; or result of `model_density`.

    Raises
    ------
    UserError
        If the form is unknown, a download fails, or the file is not a usable map or model.
    """
    kind, path = local_source(volume, downloads)
    if kind == "model":
        return model_density(path, pixel_size=pixel_size, resolution_angstrom=resolution_angstrom)
    # the main process of Snakemake imports this module, and needs no SciPy
    from crisp_core.simulation.map_particle import has_surroundings, without_offset

    density, own_pixel_size = read_particle_map(path, pixel_size=volume_pixel_size)
    if has_surroundings(density):
        log.warning(
            "%s: has an offset, noise or a dark ring around its particle; the offset is subtracted, the rest is "
            "projected with the particle and counts in the SNR: multiply the map by its mask",
            path,
        )
        density = without_offset(density)
    return resample_volume(density, own_pixel_size, pixel_size)


def local_source(volume: str, downloads: DownloadSettings) -> Source:
    """Find the file of a density, map or model; the file of an entry of a data bank is fetched: see `read_density`."""
    kind, name = volume_source(volume)
    if kind == "emdb":
        return Source("map", str(fetch(emdb_map_url(name, downloads.emdb_url), folder=downloads.folder)))
    if kind == "pdb":
        return Source("model", str(fetch(pdb_model_url(name, downloads.pdb_url), folder=downloads.folder)))
    return Source(kind, name)


def model_density(path: str | Path, *, pixel_size: float, resolution_angstrom: float) -> np.ndarray:
    """Compute the density of an atomic model for electron scattering.

    An atom is its electron form factor times exp(-(s d)²), with the spatial frequency s and the resolution d: a
    Gaussian that falls to 1 / e at 1 / d, or a B factor of 4 d². B factors of the file, hydrogen and water are ignored.
    Frequencies beyond 1 / (2 pixel_size) are cut off. The time is proportional to the number of atoms and to
    (resolution / pixel size)³: 1 s for 30,000 atoms at 4 Å, 10 s at 30 Å and 1.77 Å/px.

    Parameters
    ----------
    path : str or Path
        mmCIF or PDB file, also `.gz`. The first model is read, as the first biological assembly of the file.
    pixel_size : float
        Pixel size of the result, Å/px.
    resolution_angstrom : float
        Resolution d, Å.

    Returns
    -------
    (n, n, n) float32 array [z, y, x], n even
        Density, protein positive. Its sum times pixel_size³ is the sum of the form factors at s = 0, in Å. The centre
        of mass is at voxel n // 2; the axes are those of the file.

    Raises
    ------
    UserError
        If the file is missing or broken, or contains no atoms.

    Notes
    -----
    Form factors: Peng et al. 1996 (doi 10.1107/S0108767395014371), five Gaussians, from International Tables C
    4.3.2.2. The definition of the resolution is that of ChimeraX's molmap.
    """
    return density_of_atoms(read_model(Path(path)), pixel_size=pixel_size, resolution_angstrom=resolution_angstrom)


def density_of_atoms(model: gemmi.Model, *, pixel_size: float, resolution_angstrom: float) -> np.ndarray:
    """Compute the density of a result of `read_model`, see `model_density`; this changes the model.

    Parameters
    ----------
    model : gemmi.Model
        Atoms, with positions in Å; positions and B-factors are overwritten.
    pixel_size : float
        Pixel size of the density, Å/px.
    resolution_angstrom : float
        Resolution of the density, in Å.
    """
    atoms = [site.atom for site in model.all()]
    positions = np.array([atom.pos.tolist() for atom in atoms]) - model.calculate_center_of_mass().tolist()
    # The margin is the radius of a blurred atom, so that no density wraps around to the opposite side.
    reach_angstrom = np.sqrt((positions**2).sum(axis=1).max()) + resolution_angstrom + 3
    n = even_fft_size(2 * reach_angstrom / pixel_size)
    # Samples per pixel such that aliases, at 1 / step - 1 / (2 pixel_size), are beyond 2 / d, where 2 % are left.
    samples = int(np.ceil(2 * pixel_size / resolution_angstrom + 0.5))
    calculator = _density_calculator(n * pixel_size, n * samples, resolution_angstrom)
    for atom, position in zip(atoms, positions + n // 2 * pixel_size, strict=True):
        atom.pos, atom.b_iso, atom.aniso = gemmi.Position(*position), 0, gemmi.SMat33f(0, 0, 0, 0, 0, 0)
    calculator.add_model_density_to_grid(model)
    density = np.array(calculator.grid, copy=False).T
    return np.ascontiguousarray(density if samples == 1 else resample_volume(density, 1, samples), dtype=np.float32)


def read_model(path: Path) -> gemmi.Model:
    """Read the first model of a file, as its first biological assembly, without hydrogen and water.

    Raises
    ------
    UserError
        If the file is missing or broken, or contains no atoms.
    """
    try:
        check_unpacked(path, max_bytes=MAX_MODEL_BYTES)
        structure = gemmi.read_structure(str(path))
        structure.setup_entities()
        if structure.assemblies and len(structure):
            structure.transform_to_assembly(structure.assemblies[0].name, gemmi.HowToNameCopiedChain.Dup)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except (OSError, ValueError, RuntimeError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: is not a readable mmCIF or PDB file ({error}); copy the file again") from None
    structure.remove_hydrogens()
    structure.remove_waters()
    if not len(structure) or not structure[0].count_atom_sites():
        raise UserError(f"{path}: contains no atoms; give a file with coordinates of atoms")
    return structure[0]


def _density_calculator(side_angstrom: float, n: int, resolution_angstrom: float) -> gemmi.DensityCalculatorE:
    """Make a calculator with an empty cubic grid of `n`³ points, and its blur."""
    calculator = gemmi.DensityCalculatorE()
    calculator.blur = 4 * resolution_angstrom**2
    carbon = gemmi.Element("C").c4322.calculate_density_iso(0, calculator.blur)
    calculator.cutoff = ATOM_CUTOFF * carbon
    calculator.grid.set_unit_cell(gemmi.UnitCell(side_angstrom, side_angstrom, side_angstrom, 90, 90, 90))
    calculator.grid.set_size(n, n, n)
    return calculator


def measured_diameter_px(volume: np.ndarray) -> float:
    """Return the diameter of the central sphere with 98 % of the positive density, in px."""
    axes = [np.arange(n) - n // 2 for n in volume.shape]
    radius = np.sqrt(sum(axis.astype(float) ** 2 for axis in np.meshgrid(*axes, indexing="ij"))).ravel()
    order = np.argsort(radius)
    mass = np.cumsum(np.clip(volume, 0, None).ravel()[order], dtype=float)
    return 2 * float(radius[order][np.searchsorted(mass, PARTICLE_MASS * mass[-1])])


def resample_volume(volume: np.ndarray, pixel_size: float, new_pixel_size: float) -> np.ndarray:
    """Resample a density: pad it with zeros, then crop or pad its Fourier transform.

    Parameters
    ----------
    volume : (a, b, c) array [z, y, x]
        Density.
    pixel_size, new_pixel_size : float
        Pixel sizes of the density and of the result, Å per voxel.

    Returns
    -------
    (n, n, n) float32 array, n even
        Density with unchanged values, as long as the longest side of the given one, up to a few voxels. Voxel n // 2 is
        at the same position. The padding, which is cut off again, is chosen such that the new pixel size is exact to
        about a thousandth.
    """
    side = max(volume.shape)
    sides = np.arange(side + side % 2, side + 64, 2)
    wanted = sides * pixel_size / new_pixel_size
    new_sides = 2 * np.round(wanted / 2).astype(int)
    best = int(np.argmin(np.abs(new_sides / wanted - 1).round(6)))
    padded = _crop_or_pad(np.asarray(volume, dtype=np.float32), int(sides[best]))
    spectrum = scipy.fft.fftshift(scipy.fft.fftn(scipy.fft.ifftshift(padded), workers=FFT_THREADS))
    n = int(new_sides[best])
    resized = scipy.fft.ifftn(scipy.fft.ifftshift(_without_nyquist(_crop_or_pad(spectrum, n))), workers=FFT_THREADS)
    resized = scipy.fft.fftshift(resized.real) * np.float32((n / sides[best]) ** 3)
    return np.ascontiguousarray(
        _crop_or_pad(resized, even_fft_size(side * pixel_size / new_pixel_size)), dtype=np.float32
    )


def low_pass_volume(volume: np.ndarray, pixel_size: float, resolution_angstrom: float) -> np.ndarray:
    """Blur a density by a Gaussian that halves the amplitudes at a resolution.

    Parameters
    ----------
    volume : (n, n, n) array
        Density.
    pixel_size : float
        Pixel size of the density, Å per voxel.
    resolution_angstrom : float
        Resolution, Å; 0 returns the density unchanged.
    """
    if not resolution_angstrom:
        return volume
    n = len(volume)
    full, half = scipy.fft.fftfreq(n, pixel_size) ** 2, scipy.fft.rfftfreq(n, pixel_size) ** 2
    exponents = [-np.log(2) * resolution_angstrom**2 * axis for axis in (full, full, half)]
    z, y, x = (np.exp(exponent).astype(np.float32) for exponent in exponents)
    spectrum = scipy.fft.rfftn(volume.astype(np.float32, copy=False), workers=FFT_THREADS)
    spectrum *= z[:, None, None] * y[:, None] * x
    return scipy.fft.irfftn(spectrum, s=volume.shape, workers=FFT_THREADS)


def _crop_or_pad(array: np.ndarray, side: int) -> np.ndarray:
    """Crop or zero-pad to a cube; element n // 2 of every axis becomes element side // 2."""
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
