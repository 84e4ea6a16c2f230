"""Detergent around membrane proteins: the position of the membrane, and the belt of detergent that replaces it."""

from typing import NamedTuple

import gemmi
import numpy as np
import scipy.ndimage
import scipy.spatial

# Half of the hydrophobic thickness of a membrane, and of a micelle with its head groups, in Å.
CORE_ANGSTROM, MICELLE_ANGSTROM = 15.0, 20.0
# Residues with fewer neighbours (share of all residues) within this distance are on the surface.
NEIGHBOUR_ANGSTROM, SURFACE_SHARE = 13.0, 0.6
N_DIRECTIONS = 400
# Density of the protein's surface, as a share of its mean density inside: where the belt begins.
SURFACE_LEVEL = 0.3
# Hydropathy by Kyte & Doolittle 1982, J. Mol. Biol. 157:105.
HYDROPATHY = {
    **{"ILE": 4.5, "VAL": 4.2, "LEU": 3.8, "PHE": 2.8, "CYS": 2.5, "MET": 1.9, "ALA": 1.8, "GLY": -0.4, "THR": -0.7},
    **{"SER": -0.8, "TRP": -0.9, "TYR": -1.3, "PRO": -1.6, "HIS": -3.2, "GLU": -3.5, "GLN": -3.5, "ASP": -3.5},
    **{"ASN": -3.5, "LYS": -3.9, "ARG": -4.5},
}


class Slab(NamedTuple):
    """Middle plane of a membrane: unit normal (x, y, z), and its distance along it from the origin of the positions."""

    normal: np.ndarray
    offset: float


def membrane_slab(model: gemmi.Model, center: np.ndarray) -> Slab | None:
    """Find the slab of 30 Å whose surface residues are the most hydrophobic in sum.

    Parameters
    ----------
    model : gemmi.Model
    center : (3,) array
        Position in Å from which the offset is measured.

    Returns
    -------
    Slab or None
        In Å; None for a model without amino acids.
    """
    residues = [
        (residue[0].pos.tolist(), HYDROPATHY[residue.name])
        for chain in model
        for residue in chain
        if residue.name in HYDROPATHY and len(residue)
    ]
    if not residues:
        return None
    positions = np.array([position for position, _ in residues]) - center
    hydropathy = np.array([value for _, value in residues])
    tree = scipy.spatial.cKDTree(positions)
    crowded = tree.query_ball_point(positions, NEIGHBOUR_ANGSTROM, return_length=True)
    surface = crowded <= np.quantile(crowded, SURFACE_SHARE)
    return most_hydrophobic_slab(positions[surface], hydropathy[surface])


def most_hydrophobic_slab(positions: np.ndarray, hydropathy: np.ndarray) -> Slab:
    """Slab of twice `CORE_ANGSTROM` with the largest sum of hydropathy, of positions (n, 3) in Å."""
    found: tuple[float, Slab] = (-np.inf, Slab(np.array([0.0, 0.0, 1.0]), 0.0))
    reach = int(np.ceil(np.sqrt((positions**2).sum(axis=1).max()))) + 1
    width = int(2 * CORE_ANGSTROM)
    for normal in hemisphere(N_DIRECTIONS):
        along = np.rint(positions @ normal).astype(int) + reach
        total = np.concatenate([[0], np.cumsum(np.bincount(along, hydropathy, 2 * reach + width))])
        sums = total[width:] - total[:-width]
        best = int(np.argmax(sums))
        if sums[best] > found[0]:
            found = float(sums[best]), Slab(normal, best + (width - 1) / 2 - reach)
    return found[1]


def hemisphere(n: int) -> np.ndarray:
    """Directions (n, 3) spread evenly over a half sphere (Fibonacci lattice)."""
    z = (np.arange(n) + 0.5) / n
    angle = np.pi * (1 + np.sqrt(5)) * np.arange(n)
    radius = np.sqrt(1 - z**2)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle), z])


def with_micelle(
    density: np.ndarray, slab: Slab, *, pixel_size: float, width_angstrom: float, level: float
) -> np.ndarray:
    """Add a belt of detergent around a protein.

    Parameters
    ----------
    density : (n, n, n) array [z, y, x]
        Protein positive, its membrane's slab given from voxel n // 2.
    slab : Slab
        Offset in Å.
    pixel_size : float
        Å per voxel.
    width_angstrom : float
        Thickness of the belt around the protein, in the middle of the membrane.
    level : float
        Density of the belt as a share of the protein's mean density inside its surface.

    Returns
    -------
    float32 array of a cube
        Larger than the given one where the belt needs room; voxel n // 2 is the same place.
    """
    pad = int(np.ceil(width_angstrom / pixel_size)) + 1
    padded = np.pad(np.asarray(density, dtype=np.float32), pad)
    inside_mean = float(density[density > 0].mean()) if (density > 0).any() else 0.0
    protein = padded > SURFACE_LEVEL * inside_mean
    axes = [np.arange(len(padded)) - len(padded) // 2] * 3
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    normal = np.asarray(slab.normal, dtype=float)
    height = (normal[0] * x + normal[1] * y + normal[2] * z) * pixel_size - slab.offset
    # An ellipse in cross-section: widest in the middle of the membrane.
    allowed = 1 - (height / MICELLE_ANGSTROM) ** 2
    distance = scipy.ndimage.distance_transform_edt(~protein) * pixel_size
    belt = (distance <= width_angstrom * np.sqrt(np.clip(allowed, 0, None))) & (allowed > 0) & ~protein
    soft = scipy.ndimage.gaussian_filter(belt.astype(np.float32), 0.7)
    return padded + np.float32(level * float(padded[protein].mean() if protein.any() else 0)) * soft
