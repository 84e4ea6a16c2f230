"""What the removal of picks takes away, and its cost in true picks: `python benchmarks/cleaning.py FOLDER`.

Simulated: apoferritin, as in examples/realistic.yaml, with more aggregates and with fragments (12 to 35 % of its
mass). Bounds of size and shape are chosen on two micrographs and applied to four others. Real: EMPIAR-10017, with
class labels that say where junk is. Picks are those of the general network above its own threshold. Maps are kept in
FOLDER, and FOLDER/cleaning.md has the tables; docs/cleaning.md explains them.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from general import networks_of
from general_entries import Network, candidates, map_file, network_source
from general_masks import GREEN, MAGENTA, class_label, is_color
from general_sets import SEED, SETS, Simulated, TestSet, example, protein_density, stored
from general_tables import markdown

from crisp_core.ctf import through_ctf
from crisp_core.evaluation.matching import match_one_to_one
from crisp_core.formats.arrays import Grid
from crisp_core.geometry import angstrom_to_px
from crisp_core.picking.cleaning import axis_ratios, clean_picks
from crisp_core.picking.removal import apply_rules, distance_to_class
from crisp_core.picking.search import find_centers
from crisp_core.picking.settings import RemovalSettings
from crisp_core.picking.shapes import with_shapes
from crisp_core.picking.sizes import DIAMETER, SOLIDITY, whole_picks
from crisp_core.seeds import named_rng
from crisp_core.simulation.centers import draw_rotations
from crisp_core.simulation.micrograph import simulate_micrograph
from crisp_core.simulation.projections import place_projections, project
from crisp_core.simulation.settings import ScenerySettings
from crisp_core.simulation.zoo_waste import fragment

N_SIMULATED, N_CHOSEN_ON = 6, 2
N_FRAGMENTS = (25, 41)
AGGREGATES = {"n_per_micrograph": [1, 3], "n_particles": [3, 12], "spacing_diameters": 0.5}
# Bounds leave this share of the true picks of the first micrographs outside, on each side.
OUTSIDE = 0.01
NOTHING = {"contaminant_diameters": None, "carbon_diameters": None}
DIRTY, REAL = "dirty", "empiar-10017"


class Seen(NamedTuple):
    """Picks of a micrograph with shapes, before any removal, and its truth; all positions in px of the map.

    Attributes
    ----------
    picks : DataFrame
    grid : Grid
        Grid of the map.
    valid, classes : (h, w) arrays
        Valid area, and predicted class of each pixel.
    junk : (h, w) bool array
        Labelled junk; nowhere for a simulation.
    truth_xy : (n, 2) array
        True particles.
    diameter_px : float
        Particle diameter.
    """

    picks: pd.DataFrame
    grid: Grid
    valid: np.ndarray
    classes: np.ndarray
    junk: np.ndarray
    truth_xy: np.ndarray
    diameter_px: float


def simulate_dirty() -> Iterator[Simulated]:
    """Micrographs of examples/realistic.yaml with more aggregates, and fragments at random places."""
    preset = example("realistic.yaml")
    simulation, diameter, pixel_size = preset["simulation"], preset["particle_diameter_angstrom"], preset["pixel_size"]
    built = protein_density("7a4m", diameter / pixel_size, preset, membrane=False)
    optics = {key: preset[key] for key in ("voltage_kv", "spherical_aberration_mm", "amplitude_contrast")}
    keys = ("n_particles", "min_distance_angstrom", "margin_angstrom", "defocus_angstrom", "snr", "snr_pixel_size")
    for i in range(N_SIMULATED):
        name = f"dirty_{i + 1}"
        made = simulate_micrograph(
            built.density,
            name=name,
            seed=SEED,
            shape=tuple(simulation["shape_px"]),
            pixel_size=pixel_size,
            **{key: simulation[key] for key in keys},
            optics=optics,
            scenery=ScenerySettings.of(simulation["scenery"] | {"aggregates": AGGREGATES}),
            diameter_angstrom=diameter,
        )
        image = made.image + fragments(built.density, made.image.shape, made, optics | {"pixel_size": pixel_size}, name)
        yield Simulated(name, "7a4m", image, made.coordinates, pixel_size, diameter)


def fragments(
    density: np.ndarray, shape: tuple[int, int], made: Any, optics: dict[str, float], name: str
) -> np.ndarray:
    """Image (h, w) of fragments of a density, seen through the CTF of a micrograph."""
    rng = named_rng(SEED, name, "fragments")
    xy = rng.uniform(0, shape[::-1], (int(rng.integers(*N_FRAGMENTS)), 2))
    parts = [project(fragment(density, rng.uniform(0.12, 0.35), rng), draw_rotations(1, rng))[0] for _ in xy]
    defocus = float(made.coordinates["rlnDefocusU"].iloc[0])
    lens = optics | {"defocus_u_angstrom": defocus, "defocus_v_angstrom": defocus, "defocus_angle_deg": 0.0}
    return -through_ctf(place_projections(shape, np.stack(parts), xy), **lens)


def seen_micrographs(test: TestSet, network: Network, folder: Path) -> list[Seen]:
    """Candidates of all micrographs of a set, before any removal."""
    candidates(network_source(network, folder), test, folder)  # predicts, and keeps the maps
    return [seen_micrograph(row, test, network, folder) for row in test.micrographs.itertuples()]


def seen_micrograph(row: Any, test: TestSet, network: Network, folder: Path) -> Seen:
    """Picks of one micrograph, from its kept maps."""
    with np.load(map_file(folder, network, test.name, row.micrograph), allow_pickle=False) as kept:
        probability, classes, valid = kept["probability"].astype(np.float32), kept["classes"], kept["valid"]
        pixel_size = float(kept["pixel_size"])
    diameter_px = angstrom_to_px(row.diameter_angstrom, pixel_size)
    found = find_centers(probability, network.finder, diameter_px=diameter_px)
    found = found[found["score"] >= network.threshold].assign(micrograph=row.micrograph)
    sizes = {"diameter_px": diameter_px, "pixel_size": pixel_size, "threshold": network.threshold}
    junk = np.zeros(classes.shape, bool)
    if test.name == REAL:
        junk = is_color(class_label(row.micrograph, classes.shape), (GREEN, MAGENTA))
    truth = test.truth.loc[test.truth["micrograph"] == row.micrograph, ["x", "y"]].to_numpy(float)
    truth_xy = (truth + 0.5) * row.pixel_size / pixel_size - 0.5
    grid = Grid(probability.shape, pixel_size, probability.shape)
    return Seen(with_shapes(found, probability, **sizes), grid, valid, classes, junk, truth_xy, diameter_px)


def removed(seen: Seen, removal: RemovalSettings) -> pd.DataFrame:
    """Picks that the rules keep, with a column true."""
    options = {"valid": seen.valid, "label": seen.classes, "diameter_px": seen.diameter_px, "box_px": 0}
    kept = clean_picks(apply_rules(seen.picks, seen.grid, removal=removal, **options), removal).kept
    pairs = match_one_to_one(seen.truth_xy, kept[["x", "y"]].to_numpy(), max_distance_px=seen.diameter_px / 2)
    return kept.assign(true=np.isin(np.arange(len(kept)), pairs.pick))


def row_of(seen: Sequence[Seen], name: str, removal: RemovalSettings) -> dict[str, Any]:
    """Numbers of picks, true ones, and those on and near labelled junk, pooled over micrographs."""
    kept = [removed(one, removal) for one in seen]
    n_picks, n_true = sum(map(len, kept)), int(sum(table["true"].sum() for table in kept))
    n_truth = sum(len(one.truth_xy) for one in seen)
    distances = [
        distance_to_class(table[["x", "y"]].to_numpy(), one.junk, 1, full_shape=one.grid.shape) / one.diameter_px
        for one, table in zip(seen, kept, strict=True)
    ]
    on_junk, near_junk = (int(sum((each <= limit).sum() for each in distances)) for limit in (0, 0.5))
    shares = {"precision": n_true / n_picks, "recall": n_true / n_truth}
    counts = {"picks": n_picks, "true": n_true, "false": n_picks - n_true, "on_junk": on_junk, "near_junk": near_junk}
    return {"rule": name, **counts, **shares, "f1": 2 * n_true / (n_picks + n_truth)}


def chosen_bounds(seen: Sequence[Seen]) -> dict[str, Any]:
    """Bounds of size and shape that leave 1 % of the true picks of some micrographs outside, on each side."""
    kept = pd.concat([removed(one, RemovalSettings.of(NOTHING)) for one in seen])
    true = whole_picks(kept[kept["true"]])
    size = [float(value) for value in np.quantile(true[DIAMETER], (OUTSIDE, 1 - OUTSIDE)).round()]
    ratio, solidity = np.quantile(axis_ratios(true), 1 - OUTSIDE), np.quantile(true[SOLIDITY], OUTSIDE)
    return {"size_angstrom": size, "axis_ratio_max": float(ratio.round(2)), "solidity_min": float(solidity.round(2))}


def table_of(seen: Sequence[Seen], bounds: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows without removal, with distances to junk, and with bounds."""
    distances = {f"junk within {share:g} d": dict.fromkeys(NOTHING, share) for share in (0.0, 0.25, 0.5, 1.0)}
    size = {"size_angstrom": bounds["size_angstrom"]} if bounds else {}
    shapes = {"size alone": NOTHING | size, "size and shape alone": NOTHING | bounds} if bounds else {}
    both = (
        {"size, and junk within 0.5 d": size, "size and shape, and junk within 0.5 d": dict(bounds)} if bounds else {}
    )
    rules = {"nothing": NOTHING, **distances, **shapes, **both}
    return [row_of(seen, name, RemovalSettings.of(given)) for name, given in rules.items()]


def main() -> None:
    """Measure both sets, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    (network,) = networks_of(argparse.Namespace(network=["general"], centers=None, turns=False))
    dirty = seen_micrographs(stored(folder / "data" / DIRTY, simulate_dirty), network, folder)
    bounds = chosen_bounds(dirty[:N_CHOSEN_ON])
    tables = {
        f"Simulated, {N_SIMULATED - N_CHOSEN_ON} micrographs, {bounds}": table_of(dirty[N_CHOSEN_ON:], bounds),
        "EMPIAR-10017, 12 micrographs": table_of(seen_micrographs(SETS[REAL](folder), network, folder), {}),
    }
    sections = [f"## {title}\n\n{markdown(rows, {key: key for key in rows[0]})}\n" for title, rows in tables.items()]
    (folder / "cleaning.md").write_text("\n".join(sections))


if __name__ == "__main__":
    main()
