"""Datasets of CryoPPP as they lie in a folder: micrographs, coordinates, optics and the size of the particle.

A folder is named like the EMPIAR entry. It contains micrographs/, ground_truth/particle_coordinates/<stem>.csv and
ground_truth/empiar-<id>_particles_selected.star, whose optics block has the values with which CryoPPP processed them.

Source: Dhakal et al. 2023, Scientific Data 10:392, and https://github.com/BioinfoMachineLearning/cryoppp.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from crisp_core.errors import UserError, opening
from crisp_core.formats.coordinates.cryoppp import read as read_coordinates_of
from crisp_core.formats.stems import micrograph_stem
from crisp_core.formats.tables import read_table

COORDINATES = Path("ground_truth/particle_coordinates")
# Names of the micrographs with coordinates in an archive of which not all micrographs were unpacked.
LISTING = "micrographs.tsv"
# Where y counts from. The tables count from the last row of an MRC file; the pictures are that file upside down.
ORIGINS = {".mrc": "bottom-left", ".jpg": "top-left", ".jpeg": "top-left", ".png": "top-left"}
OPTICS_LABELS = {
    "pixel_size": "_rlnImagePixelSize",
    "voltage_kv": "_rlnVoltage",
    "spherical_aberration_mm": "_rlnSphericalAberration",
    "amplitude_contrast": "_rlnAmplitudeContrast",
}
# Relative deviation of a pixel size from the one that the published diameters, both rounded, suggest.
PIXEL_SIZE_TOLERANCE = 0.03
TABLE = Path(__file__).with_name("cryoppp.tsv")


class Particle(NamedTuple):
    """Size of a particle that CryoPPP published, in Å (None where it did not) and in pixels of the micrographs."""

    diameter_angstrom: float | None
    diameter_px: float

    @property
    def pixel_size(self) -> float | None:
        """Pixel size in Å/px that follows from the two rounded diameters."""
        return None if self.diameter_angstrom is None else self.diameter_angstrom / self.diameter_px


def published_particle(empiar: str) -> Particle | None:
    """Size of the particle of an EMPIAR entry in CryoPPP; None for an entry that CryoPPP lacks."""
    rows = read_table(TABLE, comment="#", dtype={"empiar": str}).set_index("empiar")
    if empiar not in rows.index:
        return None
    row = rows.loc[empiar]
    angstrom = None if pd.isna(row["diameter_angstrom"]) else float(row["diameter_angstrom"])
    return Particle(angstrom, float(row["diameter_px"]))


def coordinate_tables(folder: Path) -> dict[str, Path]:
    """Tables of coordinates of a folder, by the stem of their micrograph.

    Raises
    ------
    UserError
        If the folder is not laid out like those of CryoPPP.
    """
    tables = {micrograph_stem(path.name): path for path in sorted((folder / COORDINATES).glob("*.csv"))}
    if not tables:
        raise UserError(
            f"{folder}: has no {COORDINATES}/*.csv; give the folder of one EMPIAR entry of CryoPPP, which contains "
            "micrographs and ground_truth"
        )
    return tables


def wanted_names(names: Iterable[str], stems: Collection[str], count: int | None) -> list[str]:
    """File names of the micrographs that have coordinates, sorted; the first ones if only some are wanted.

    Parameters
    ----------
    names : iterable of str
        File names of micrographs; other files are left out.
    stems : collection of str
        Stems of the micrographs with coordinates.
    count : int, optional
        Number of wanted micrographs.
    """
    found = (name for name in names if Path(name).suffix.lower() in ORIGINS and micrograph_stem(name) in stems)
    return sorted(found)[:count]


def labelled_micrographs(folder: Path, tables: Mapping[str, Path], count: int | None) -> list[Path]:
    """Micrographs of a folder that have coordinates.

    Parameters
    ----------
    folder : Path
        Folder of the EMPIAR entry.
    tables : mapping of str to Path
        Tables of coordinates by stem.
    count : int, optional
        Number of wanted micrographs; all by default.

    Raises
    ------
    UserError
        If there are fewer than wanted, or none.
    """
    present = {path.name for path in (folder / "micrographs").glob("*")}
    listing = folder / LISTING
    known = read_table(listing)["micrograph"] if listing.exists() else present
    names = wanted_names(known, tables, count)
    missing = [name for name in names if name not in present]
    if missing or not names or len(names) < (count or 0):
        raise UserError(
            f"{folder}/micrographs: has {len(names) - len(missing)} of {count or max(1, len(names))} wanted "
            "micrographs with coordinates; download the others, or lower micrographs_count"
        )
    return [folder / "micrographs" / name for name in names]


def origin_of(paths: Iterable[str | Path], place: str) -> str:
    """Where y of CryoPPP's coordinates counts from in micrographs of this file type.

    Raises
    ------
    UserError
        If the micrographs are of both kinds, or of a type that CryoPPP does not distribute.
    """
    origins = {ORIGINS.get(Path(path).suffix.lower()) for path in paths}
    origin = origins.pop() if len(origins) == 1 else None
    if origin is None:
        raise UserError(
            f"{place}: the row order of these micrographs is unknown, since they are not all MRC or all JPG; move one "
            "kind elsewhere, or give coordinates/origin"
        )
    return origin


def stated_optics(folder: Path, empiar: str) -> dict[str, float]:
    """Values of the optics block of CryoPPP's star file, by key of the config; those on which all groups agree.

    Parameters
    ----------
    folder : Path
        Folder of the EMPIAR entry.
    empiar : str
        Its number.
    """
    path = folder / f"ground_truth/empiar-{empiar}_particles_selected.star"
    if not path.exists():
        return {}
    rows = _optics_rows(path)
    found = {key: {row[label] for row in rows if label in row} for key, label in OPTICS_LABELS.items()}
    return {key: values.pop() for key, values in found.items() if len(values) == 1}


def _optics_rows(path: Path) -> list[dict[str, float]]:
    """Rows of numbers of the block data_optics; the particles after it, of which there are many, are not read."""
    labels: list[str] = []
    rows = []
    with opening(path), open(path, encoding="utf-8", errors="replace") as file:
        lines = (line.strip() for line in file)
        for line in lines:
            if line == "data_optics":
                break
        for line in lines:
            if line.startswith("data_"):
                break
            cells = line.split()
            if line.startswith("_"):
                labels.append(cells[0])
            elif labels and len(cells) == len(labels):
                rows.append(
                    {
                        key: number
                        for key, cell in zip(labels, cells, strict=True)
                        if (number := _number(cell)) is not None
                    }
                )
    return rows


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def diameter_px_of(tables: Iterable[Path]) -> float | None:
    """Diameter in pixels of the first table of coordinates that has a particle; None if no table states one."""
    for path in tables:
        table = read_coordinates_of(path, path.stem)
        if len(table) and "diameter_px" in table:
            return float(table["diameter_px"].median())
    return None


def check_pixel_size(pixel_size: float, empiar: str, *, source: str, place: str) -> None:
    """Refuse a pixel size that contradicts the diameters which CryoPPP published.

    Parameters
    ----------
    pixel_size : float
        Pixel size in Å/px.
    empiar : str
        Number of the EMPIAR entry.
    source : str
        Origin of the pixel size, for the message.
    place : str
        Place in the config, for the message.
    """
    particle = published_particle(empiar)
    expected = None if particle is None else particle.pixel_size
    if expected and abs(pixel_size / expected - 1) > PIXEL_SIZE_TOLERANCE:
        raise UserError(
            f"{place}/pixel_size: {source} states {pixel_size:g} Å/px, and the diameters published by CryoPPP suggest "
            f"{expected:.3g}; look the pixel size up, and give it"
        )


def cryoppp_entry(
    folder: Path,
    *,
    place: str,
    pixel_size: float | None = None,
    count: int | None = None,
    micrographs: Iterable[str] | None = None,
    origin: str | None = None,
) -> dict[str, Any]:
    """Keys of a dataset in the config that a folder of CryoPPP gives.

    Parameters
    ----------
    folder : Path
        Folder of an EMPIAR entry, named by its number.
    place : str
        Place in the config, for messages.
    pixel_size : float, optional
        Pixel size in Å/px that the config gives in place of the folder's.
    count : int, optional
        Number of micrographs to take, the first by name; all by default.
    micrographs : iterable of str, optional
        Paths of the same micrographs from elsewhere, such as EMPIAR, in place of those of the folder.
    origin : str, optional
        Where y of the coordinates counts from; by default what the file type of the micrographs says.

    Returns
    -------
    dict
        micrographs, coordinates; pixel_size (Å/px), voltage_kv, spherical_aberration_mm, amplitude_contrast and
        particle_diameter_angstrom where the folder states them.

    Raises
    ------
    UserError
        If the folder is laid out otherwise, has fewer micrographs, or contradicts itself.
    """
    tables = coordinate_tables(folder)
    paths = labelled_micrographs(folder, tables, count) if micrographs is None else [Path(path) for path in micrographs]
    used = [tables[micrograph_stem(path.name)] for path in paths]
    entry: dict[str, Any] = stated_optics(folder, folder.name)
    if pixel_size is not None:
        entry["pixel_size"] = pixel_size
    elif "pixel_size" in entry:
        check_pixel_size(entry["pixel_size"], folder.name, source="CryoPPP's star file", place=place)
    diameter_px = diameter_px_of(used)
    if diameter_px and "pixel_size" in entry:
        entry["particle_diameter_angstrom"] = round(diameter_px * entry["pixel_size"], 1)
    origin = origin or origin_of(paths, place)
    coordinates = {"files": [str(path) for path in used], "format": "cryoppp", "origin": origin}
    return {"micrographs": [str(path) for path in paths], "coordinates": coordinates, **entry}
