"""How good the centre finders are: `python benchmarks/finders.py [results/<dataset>/<experiment> …]`.

Without a folder: on true masks of crowded simulated micrographs like EMPIAR-10017's, beside the published table.
With folders of finished runs: on their predicted maps of the test part, with settings searched on the validation part.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from crisp_core.evaluation.curves import best_threshold, counts_at_threshold, map_paper, mean_average_precision
from crisp_core.evaluation.scores import PickScore, f1, precision, recall
from crisp_core.formats.arrays import array_grids, read_array
from crisp_core.formats.coordinates.placing import onto_grids
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.formats.volumes import read_volume
from crisp_core.labels.thresholds import threshold_label
from crisp_core.picking.finders import FINDERS, all_settings
from crisp_core.picking.search import choose, scores_by_setting, search_table
from crisp_core.preparation.normalization import fourier_resample
from crisp_core.simulation.micrograph import simulate_micrograph
from crisp_core.simulation.volumes import resample_volume

DATA = Path(os.environ.get("CRISP_TEST_DATA", Path(__file__).parents[2] / "shared/data"))
DIAMETER_ANGSTROM = 180
PUBLISHED = {
    "morphology": (0.942, 0.9223, 0.932, 0.7829),
    "crocker_grier": (0.9997, 0.9012, 0.9479, 0.7588),
    "nms": (0.9881, 0.9736, 0.9808, 0.801),
}
# As the paper's simulations: 4096² at 1.77 Å/px. Centres may be nearer than a particle is long, so outlines touch.
SIMULATION = {
    "seed": 1,
    "shape": (2048, 2048),
    "pixel_size": 3.54,
    "n_particles": (600, 650),
    "min_distance_angstrom": 80.0,
    "margin_angstrom": 90.0,
    "defocus_angstrom": [20000.0],
    "snr": 0.005,
    "snr_pixel_size": 1.77,
    "optics": {"voltage_kv": 300.0, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1},
}


def simulated_masks(n: int, working_px: int) -> tuple[list[tuple[str, np.ndarray]], pd.DataFrame]:
    """Labels of `n` simulated micrographs on a grid of `working_px`², and the true centres on it."""
    density = resample_volume(*read_volume(DATA / "maps/sim_5a1a_bgal_D2_3.54A_80.mrc"), SIMULATION["pixel_size"])
    masks, truth = [], []
    for i in range(n):
        simulated = simulate_micrograph(density, name=f"m{i}", **SIMULATION)
        mask = threshold_label(fourier_resample(simulated.ctf_free, (working_px, working_px)))
        masks.append((f"m{i}", mask.astype(np.float32)))
        truth.append(simulated.coordinates[["micrograph", "x", "y"]])
    truth = pd.concat(truth, ignore_index=True)
    truth[["x", "y"]] *= working_px / SIMULATION["shape"][0]
    return masks, truth


def row(name: str, score: PickScore, threshold: float) -> str:
    """One line of the table: at the threshold, and at the best one."""
    counts, best = counts_at_threshold(score, threshold), best_threshold(score)
    crowded = score.n_crowded_matched / max(1, score.n_crowded)
    values = [float(measure(counts)) for measure in (precision, recall, f1)]
    values += [mean_average_precision(score), map_paper(score, threshold=threshold)]
    values += [float(f1(counts_at_threshold(score, best))), crowded]
    return f"{name:<34}" + "".join(f"{value:>11.4f}" for value in values)


def header() -> str:
    """Title line of the table."""
    titles = ("precision", "recall", "F1", "AP 1:1", "map_paper", "best F1", "crowded")
    return f"{'':<34}" + "".join(f"{title:>11}" for title in titles)


def compare(search_maps: Iterable, search_truth: pd.DataFrame, maps: Sequence, truth: pd.DataFrame, diameter: float):
    """Search each finder's nine settings on one set of maps, and print what the best reaches on another."""
    rows = search_table(scores_by_setting(search_maps, search_truth, diameter_px=diameter))
    settings, places = all_settings(), {name: choose(rows[rows["finder"] == name]) for name in FINDERS}
    best = {name: settings[place] for name, place in places.items()}
    scored = scores_by_setting(maps, truth, diameter_px=diameter, settings=list(best.values()))
    print(header())
    for name, setting in best.items():
        threshold = rows.loc[places[name], "threshold"]
        print(row(f"{setting} from {threshold:.2f}", scored[setting], threshold))
    return best


def of_run(folder: Path) -> None:
    """Compare the finders on the predictions of a finished run."""
    split = pd.read_csv(folder.parent / "split.tsv", sep="\t", dtype=str)
    parts = dict(zip(split["micrograph"], split["part"], strict=True))
    paths = {
        name: path
        for path in sorted((folder / "probability").glob("*.h5"))
        for name in array_grids(path, "probability")
    }
    grids = {name: array_grids(path, "probability")[name] for name, path in paths.items()}
    truth = onto_grids(read_coordinates_star(folder.parent / "coordinates.star"), grids)
    maps = {
        part: [
            (name, read_array(paths[name], "probability", name).data.astype(np.float32))
            for name in paths
            if parts.get(name) == part
        ]
        for part in ("validation", "test")
    }
    truths = {part: truth[truth["micrograph"].isin([name for name, _ in maps[part]])] for part in maps}
    pixel_size = next(iter(grids.values())).pixel_size
    print(f"\n{folder.name}: {len(maps['test'])} test micrographs, {len(truths['test'])} particles")
    compare(maps["validation"], truths["validation"], maps["test"], truths["test"], DIAMETER_ANGSTROM / pixel_size)


def main(folders: Sequence[str]) -> None:
    """Print the tables."""
    for folder in folders:
        of_run(Path(folder))
    if folders:
        return
    print("published, EMPIAR-10017 (other data)\n" + " " * 34 + f"{'precision':>11}{'recall':>11}{'F1':>11}{'mAP':>22}")
    for name, (p, r, f, ap) in PUBLISHED.items():
        print(f"{name:<34}{p:>11.4f}{r:>11.4f}{f:>11.4f}{ap:>22.4f}")
    for working_px in (1024, 2048):
        masks, truth = simulated_masks(12, working_px)
        searched, tested = ([name for name, _ in part] for part in (masks[:6], masks[6:]))
        diameter = DIAMETER_ANGSTROM / SIMULATION["pixel_size"] * working_px / SIMULATION["shape"][0]
        n = truth["micrograph"].isin(tested).sum()
        print(f"\nmasks of 6 simulated micrographs, {working_px}², {n} particles, particle {diameter:.0f} px")
        compare(
            *(masks[:6], truth[truth["micrograph"].isin(searched)]),
            *(masks[6:], truth[truth["micrograph"].isin(tested)]),
            diameter,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
