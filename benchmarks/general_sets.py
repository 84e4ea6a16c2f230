"""Test sets of the general network: micrographs and their true particles, read or simulated once into a folder.

The two real sets have hand-picked coordinates, which are incomplete. Simulated sets are made from the settings of
examples/realistic.yaml and examples/general.yaml. Real data: ../shared/data or $CRISP_TEST_DATA.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.settings import DownloadSettings
from crisp_core.settings.checks import check_settings
from crisp_core.simulation.library import LibraryVolume, build_library, build_volume, extent_of_density, read_library
from crisp_core.simulation.micelle import with_micelle
from crisp_core.simulation.micrograph import simulate_micrograph
from crisp_core.simulation.settings import ScenerySettings
from crisp_core.simulation.volume_lists import membrane_names, read_volume_table, volume_name
from crisp_core.simulation.zoo_micrograph import simulate_zoo_micrograph
from crisp_core.simulation.zoo_settings import ZooSettings

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("CRISP_TEST_DATA", ROOT.parent / "shared/data"))
SEED = 1
# Thickness (Å) and density of the detergent around membrane proteins: the middle of the ranges of a zoo.
MICELLE = {"width_angstrom": 22.5, "level": 0.625}
# MicAssess gives no pixel sizes; these are assumed for all of its micrographs.
MICASSESS_PIXEL_SIZE, MICASSESS_DIAMETER_ANGSTROM = 10.0, 150.0
EMPTY_CLASSES = ("3Empty_no_ice", "4Crystalline_ice", "5Empty_ice_no_particles_but_vitreous_ice")
# The signal-to-noise ratio of examples/realistic.yaml, tuned beside EMPIAR-10146, and half of it.
SNR_10146 = 0.08
N_PER_PROTEIN = 2
# Datasets of examples/general.yaml with the validation proteins.
VALIDATION_ZOOS = ("zoo-validation", "zoo-hard-validation")


class TestSet(NamedTuple):
    """Micrographs and their true particles.

    Attributes
    ----------
    name : str
    micrographs : DataFrame
        Columns micrograph, path, pixel_size (Å/px), diameter_angstrom, group (such as the protein).
    truth : DataFrame
        Columns micrograph, x, y, in pixels of the micrographs; no row for empty micrographs.
    """

    name: str
    micrographs: pd.DataFrame
    truth: pd.DataFrame


class Simulated(NamedTuple):
    """One simulated micrograph, to be written."""

    name: str
    group: str
    image: np.ndarray
    coordinates: pd.DataFrame
    pixel_size: float
    diameter_angstrom: float
    # class of every pixel, where it is known
    classes: np.ndarray | None = None


def example(file: str, dataset: str | None = None) -> dict[str, Any]:
    """Dataset of a config of examples/, the first unless it is named, with all defaults."""
    config = yaml.safe_load((ROOT / "examples" / file).read_text())
    datasets = check_settings(config).plain()["datasets"]
    return datasets[dataset or next(iter(datasets))]


def table_of(paths: Iterable[Path], *, pixel_size: float, diameter_angstrom: float) -> pd.DataFrame:
    """Table of micrographs of one particle; the group is the parent folder."""
    rows = [(path.stem, str(path), pixel_size, diameter_angstrom, path.parent.name) for path in sorted(paths)]
    return pd.DataFrame(rows, columns=["micrograph", "path", "pixel_size", "diameter_angstrom", "group"])


def empiar_10017(folder: Path) -> TestSet:
    """β-galactosidase, 12 micrographs."""
    return labelled_set("empiar-10017", example("empiar-10017.yaml"))


def empiar_10146(folder: Path) -> TestSet:
    """Apoferritin, 7 micrographs."""
    return labelled_set("empiar-10146", example("compare-empiar-10146.yaml"))


def labelled_set(name: str, dataset: Mapping[str, Any]) -> TestSet:
    """Real micrographs with coordinates whose y counts from the top."""
    size = {"pixel_size": dataset["pixel_size"], "diameter_angstrom": dataset["particle_diameter_angstrom"]}
    paths = [path for path in (DATA / name / "micrographs").iterdir() if path.suffix in (".jpg", ".png")]
    files = sorted((DATA / name / "coordinates").glob("*.csv"))
    truth = pd.concat([read_coordinates(path, format="cryoppp") for path in files], ignore_index=True)
    return TestSet(name, table_of(paths, **size), truth[["micrograph", "x", "y"]])


def micassess(folder: Path) -> TestSet:
    """Micrographs of MicAssess without particles: no ice, crystalline ice, empty vitreous ice."""
    size = {"pixel_size": MICASSESS_PIXEL_SIZE, "diameter_angstrom": MICASSESS_DIAMETER_ANGSTROM}
    paths = [path for kind in EMPTY_CLASSES for path in (DATA / "micassess" / kind).glob("*.png")]
    return TestSet("micassess", table_of(paths, **size), no_truth())


def no_truth() -> pd.DataFrame:
    """Table of true particles without a row."""
    return pd.DataFrame({"micrograph": pd.Series(dtype=str), "x": pd.Series(dtype=float), "y": pd.Series(dtype=float)})


def stored(folder: Path, simulate: Callable[[], Iterator[Simulated]]) -> TestSet:
    """Simulated set in a folder: read if it is complete, otherwise simulated and written."""
    listed, true = folder / "micrographs.tsv", folder / "truth.tsv"
    if not true.exists():
        (folder / "micrographs").mkdir(parents=True, exist_ok=True)
        rows, tables = [], []
        for made in simulate():
            path = folder / "micrographs" / f"{made.name}.mrc"
            write_mrc(path, made.image, pixel_size=made.pixel_size, dtype=np.float32)
            rows.append((made.name, str(path), made.pixel_size, made.diameter_angstrom, made.group))
            tables.append(made.coordinates[["x", "y"]].assign(micrograph=made.name))
            print(f"simulated {made.name}, {len(made.coordinates)} particles", flush=True)
        columns = ["micrograph", "path", "pixel_size", "diameter_angstrom", "group"]
        pd.DataFrame(rows, columns=columns).to_csv(listed, sep="\t", index=False)
        # last: it marks the set as complete
        pd.concat(tables)[["micrograph", "x", "y"]].to_csv(true, sep="\t", index=False)
    types = {"micrograph": str, "group": str}
    return TestSet(folder.name, pd.read_csv(listed, sep="\t", dtype=types), pd.read_csv(true, sep="\t", dtype=types))


def validation(folder: Path) -> TestSet:
    """Micrographs of the validation proteins in examples/general.yaml, easy and hard: thresholds come from them."""
    parts = []
    for zoo in VALIDATION_ZOOS:
        test = stored(folder / "data" / zoo, partial(simulate_zoo, zoo, folder / "data"))
        parts.append([table.assign(micrograph=f"{zoo}-" + table["micrograph"]) for table in test[1:]])
    micrographs, truth = (pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True))
    return TestSet("validation", micrographs, truth)


def simulate_zoo(dataset: str, folder: Path) -> Iterator[Simulated]:
    """Micrographs of a zoo of examples/general.yaml.

    Parameters
    ----------
    dataset : str
        Its name in the config, which decides the draws.
    folder : Path
        Folder for the library of its volumes.
    """
    given = example("general.yaml", dataset)
    simulation, diameter = given["simulation"], given["particle_diameter_angstrom"]
    library = zoo_library(folder / f"{dataset}.h5", simulation, diameter / given["pixel_size"])
    for i in range(simulation["n_micrographs"]):
        name = f"simulated_{i + 1:04d}"
        made = simulate_zoo_micrograph(
            ZooSettings.of(simulation["zoo"]),
            library,
            name=name,
            dataset=dataset,
            seed=SEED,
            shape=tuple(simulation["shape_px"]),
            diameter_px=diameter / given["pixel_size"],
            pixel_size=given["pixel_size"],
            voltage_kv=given["voltage_kv"],
        )
        sizes = given["pixel_size"], diameter
        yield Simulated(name, made.drawn["volumes"], made.image, made.coordinates, *sizes, made.truth)


def zoo_library(path: Path, simulation: Mapping[str, Any], extent_px: float) -> dict[str, LibraryVolume]:
    """Volumes of a zoo, made once; their longest extent has so many voxels."""
    files = [DATA / "models" / Path(volume).name for volume in simulation["volume"]]
    volumes = {volume_name(str(file)): str(file) for file in files}
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        membrane = membrane_names(read_volume_table(DATA / "models/models.tsv"), volumes)
        options = {"resolution_angstrom": simulation["model_resolution_angstrom"], "downloads": DownloadSettings()}
        for name in build_library(part, volumes, extent_px=extent_px, membrane=membrane, **options):
            print(f"volume {name}", flush=True)
        part.rename(path)
    return read_library(path)


def proteins(folder: Path) -> TestSet:
    """Proteins of zoo-test in the realistic preset, at its signal-to-noise ratio, that of EMPIAR-10146."""
    return stored(folder / "data/proteins", lambda: simulate_proteins(SNR_10146))


def proteins_half(folder: Path) -> TestSet:
    """The same at half of that ratio."""
    return stored(folder / "data/proteins-half-snr", lambda: simulate_proteins(SNR_10146 / 2))


def validation_proteins(folder: Path) -> TestSet:
    """Proteins of zoo-validation in the realistic preset, at its signal-to-noise ratio."""
    return stored(folder / "data/validation-proteins", lambda: simulate_proteins(SNR_10146, "zoo-validation"))


def simulate_proteins(snr: float, zoo: str = "zoo-test") -> Iterator[Simulated]:
    """Micrographs of examples/realistic.yaml with each protein of a zoo instead of apoferritin.

    A protein is as wide in pixels as apoferritin there: the pixel size, the distances and the lengths of the scenery
    grow with its longest extent. Defocus, optics and the resolution of the model stay as they are in Å.

    Parameters
    ----------
    snr : float
        var(clean) / var(noise) over the micrograph, at its pixel size: see docs/simulation.md.
    zoo : str
        Dataset of examples/general.yaml.
    """
    preset = example("realistic.yaml")
    extent_px = preset["particle_diameter_angstrom"] / preset["pixel_size"]
    table = read_volume_table(DATA / "models/models.tsv")
    for volume in example("general.yaml", zoo)["simulation"]["volume"]:
        name = Path(volume).name.partition(".")[0]
        built = protein_density(name, extent_px, preset, membrane=bool(membrane_names(table, [name])))
        for i in range(N_PER_PROTEIN):
            yield simulate_protein(f"{name}_{i + 1}", name, built, preset, snr)


def protein_density(name: str, extent_px: float, preset: Mapping[str, Any], *, membrane: bool) -> LibraryVolume:
    """Density of a model with so many pixels along its longest extent, in detergent if it is a membrane protein."""
    built = build_volume(
        str(DATA / f"models/{name}.cif.gz"),
        extent_px=extent_px,
        resolution_angstrom=preset["simulation"]["model_resolution_angstrom"],
        membrane=membrane,
        downloads=DownloadSettings(),
    )
    if built.slab is None:
        return built
    density = with_micelle(built.density, built.slab, pixel_size=built.pixel_size, **MICELLE)
    return built._replace(density=density, extent_px=max(built.extent_px, extent_of_density(density)))


def simulate_protein(name: str, group: str, built: LibraryVolume, preset: Mapping[str, Any], snr: float) -> Simulated:
    """One micrograph of a protein in the realistic preset."""
    simulation, diameter = preset["simulation"], built.extent_px * built.pixel_size
    scale = diameter / preset["particle_diameter_angstrom"]
    made = simulate_micrograph(
        built.density,
        name=name,
        seed=SEED,
        shape=tuple(simulation["shape_px"]),
        pixel_size=built.pixel_size,
        n_particles=simulation["n_particles"],
        min_distance_angstrom=scale * simulation["min_distance_angstrom"],
        margin_angstrom=scale * simulation["margin_angstrom"],
        defocus_angstrom=simulation["defocus_angstrom"],
        snr=snr,
        snr_pixel_size=built.pixel_size,
        optics={key: preset[key] for key in ("voltage_kv", "spherical_aberration_mm", "amplitude_contrast")},
        scenery=ScenerySettings.of(scaled_lengths(simulation["scenery"], scale)),
        diameter_angstrom=diameter,
    )
    return Simulated(name, group, made.image, made.coordinates, built.pixel_size, diameter)


def scaled_lengths(settings: Any, factor: float, *, is_length: bool = False) -> Any:
    """Settings with every length in Å (a key that ends in _angstrom) multiplied by a factor."""
    if isinstance(settings, Mapping):
        return {
            key: scaled_lengths(value, factor, is_length=key.endswith("_angstrom")) for key, value in settings.items()
        }
    if isinstance(settings, list):
        return [scaled_lengths(value, factor, is_length=is_length) for value in settings]
    return settings * factor if is_length and isinstance(settings, int | float) else settings


SETS: dict[str, Callable[[Path], TestSet]] = {
    "validation": validation,
    "empiar-10017": empiar_10017,
    "empiar-10146": empiar_10146,
    "proteins": proteins,
    "proteins-half-snr": proteins_half,
    "validation-proteins": validation_proteins,
    "micassess": micassess,
}
