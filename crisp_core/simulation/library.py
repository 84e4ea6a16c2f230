"""Densities of many volumes at one scale: all have the same length in voxels, whatever their length in Å."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import scipy.spatial

from crisp_core.formats.settings import DownloadSettings
from crisp_core.formats.volumes import read_particle_map
from crisp_core.geometry import even_fft_size
from crisp_core.simulation.map_particle import (
    SURFACE_SHARE,
    dense_level,
    particle_alone,
    particle_mask,
)
from crisp_core.simulation.micelle import Slab, membrane_slab
from crisp_core.simulation.volumes import density_of_atoms, local_source, read_model, resample_volume


class LibraryVolume(NamedTuple):
    """A density (n, n, n) [z, y, x], its longest extent in voxels, Å per voxel, and its membrane, if it has one."""

    density: np.ndarray
    extent_px: float
    pixel_size: float
    slab: Slab | None = None


def build_volume(
    volume: str, *, extent_px: float, resolution_angstrom: float, membrane: bool, downloads: DownloadSettings
) -> LibraryVolume:
    """Make the density of a map or an atomic model, such that its longest extent is a given number of voxels.

    Parameters
    ----------
    volume : str
        Path or identifier, see `volumes.volume_source`.
    extent_px : float
        Voxels along the longest extent.
    resolution_angstrom : float
        Of an atomic model, as `volumes.model_density` defines it.
    membrane : bool
        Whether to look for the membrane of an atomic model.
    downloads : DownloadSettings
        See `volumes.read_density`.

    Raises
    ------
    UserError
        If the file is not a usable map or model.
    """
    kind, path = local_source(volume, downloads)
    if kind == "map":
        return _volume_of_map(path, extent_px)
    model = read_model(Path(path))
    center = np.array(model.calculate_center_of_mass().tolist())
    positions = np.array([site.atom.pos.tolist() for site in model.all()])
    # An atom's own width counts little: its density is about 3 Å wide.
    pixel_size = (longest_extent(positions) + 3) / extent_px
    slab = membrane_slab(model, center) if membrane else None
    density = density_of_atoms(model, pixel_size=pixel_size, resolution_angstrom=resolution_angstrom)
    return LibraryVolume(density, extent_px, pixel_size, slab)


def _volume_of_map(path: str, extent_px: float) -> LibraryVolume:
    density, pixel_size = read_particle_map(path)
    coarse_px = extent_of_density(np.where(particle_mask(density), density, 0))
    density = particle_alone(density)
    new_pixel_size = pixel_size * coarse_px / extent_px
    return LibraryVolume(
        resample_volume(centred_on_mass(density), pixel_size, new_pixel_size), extent_px, new_pixel_size
    )


def extent_of_density(density: np.ndarray) -> float:
    """Longest extent in voxels of the part of a density (n, m, k) above `SURFACE_SHARE`; protein is positive.

    Raises
    ------
    UserError
        If the density is nowhere positive.
    """
    return longest_extent(np.argwhere(density > SURFACE_SHARE * dense_level(density)))


def longest_extent(points: np.ndarray) -> float:
    """Largest distance of two of the points (n, 3)."""
    if len(points) > 50:
        # Points in one plane or on one line have no hull.
        try:
            points = points[scipy.spatial.ConvexHull(points).vertices]
        except scipy.spatial.QhullError:
            points = np.unique(points, axis=0)
    return float(scipy.spatial.distance.pdist(points).max(initial=0))


def centred_on_mass(density: np.ndarray) -> np.ndarray:
    """Pad a density to a cube with the centre of its positive mass at voxel n // 2, to half a voxel."""
    mass = np.clip(density, 0, None)
    total = float(mass.sum(dtype=float))
    axes = range(density.ndim)
    center = [
        float(np.arange(n) @ mass.sum(axis=tuple(a for a in axes if a != axis), dtype=float)) / total
        for axis, n in enumerate(density.shape)
    ]
    middle = [round(value) for value in center]
    reach = max(max(at, n - at) for at, n in zip(middle, density.shape, strict=True))
    side = even_fft_size(2 * reach)
    cube = np.zeros((side,) * density.ndim, dtype=np.float32)
    starts = [side // 2 - at for at in middle]
    cube[tuple(slice(start, start + n) for start, n in zip(starts, density.shape, strict=True))] = density
    return cube


def write_volume(file: h5py.File, name: str, volume: LibraryVolume) -> None:
    """Write a volume to an open HDF5 file.

    Parameters
    ----------
    file : h5py.File
        HDF5 file, open for writing.
    name : str
        Name of the dataset to create.
    volume : LibraryVolume
        Density, extent in px, pixel size in Å/px, and any membrane slab.
    """
    dataset = file.create_dataset(name, data=volume.density.astype(np.float32), compression="gzip", compression_opts=1)
    dataset.attrs["extent_px"] = float(volume.extent_px)
    dataset.attrs["pixel_size"] = float(volume.pixel_size)
    if volume.slab is not None:
        dataset.attrs["membrane_normal"] = volume.slab.normal
        dataset.attrs["membrane_offset_angstrom"] = float(volume.slab.offset)


def read_library(path: str | Path) -> dict[str, LibraryVolume]:
    """Read all volumes of a library, by name."""
    with h5py.File(path, "r") as file:
        return {name: _stored_volume(file[name]) for name in sorted(file)}


def _stored_volume(dataset: h5py.Dataset) -> LibraryVolume:
    attributes = dataset.attrs
    slab = None
    if "membrane_normal" in attributes:
        slab = Slab(attributes["membrane_normal"], float(attributes["membrane_offset_angstrom"]))
    return LibraryVolume(dataset[()], float(attributes["extent_px"]), float(attributes["pixel_size"]), slab)


def build_library(
    path: str | Path,
    volumes: Mapping[str, str],
    *,
    extent_px: float,
    resolution_angstrom: float,
    membrane: Iterable[str],
    downloads: DownloadSettings,
) -> Iterator[str]:
    """Write the library of some volumes, one by one; yields the name of each when it is written.

    Parameters
    ----------
    path : str or Path
    volumes : mapping of str to str
        Paths or identifiers by name, as `listed_volumes` returns them.
    extent_px, resolution_angstrom, downloads
        As in `build_volume`.
    membrane : iterable of str
        Names of the membrane proteins.
    """
    proteins = set(membrane)
    options: dict[str, Any] = {"extent_px": extent_px, "resolution_angstrom": resolution_angstrom}
    with h5py.File(path, "w") as file:
        for name, volume in volumes.items():
            built = build_volume(volume, membrane=name in proteins, downloads=downloads, **options)
            write_volume(file, name, built)
            yield name
