"""Accuracy of label source clicks, and of networks that are trained on its labels.

    python benchmarks/clicks.py labels [--sets bgal …] [--seeds 1 2 3]
    python benchmarks/clicks.py errors [--sets bgal …] [--seeds 1 2 3]
    python benchmarks/clicks.py choice
    python benchmarks/clicks.py picture docs/pictures/clicks.png
    python benchmarks/clicks.py train FOLDER [--seeds 1 2 3] [--lock FILE]

`labels` prints IoU of the labels with the true outlines, over all pixels: the CRF with the default settings; its
control (see benchmarks/click_labels.py) with fixed lengths and with those that suit each set best by its truth; the
default disc; the best disc, whose radius needs the truth. A simulated set has two micrographs of 1024² for each seed,
and Li's threshold of the clean micrograph as the truth. EMPIAR-10146: the truth is a disc of 82 px around each drawn
centre. EMPIAR-10017: CASSPER's class labels. Real data are read from ../shared/data or CRISP_TEST_DATA.

`errors` prints IoU of the CRF, the fixed control and the default disc with a diameter that is 15 % too small or too
large, with clicks that are off by 2 px in a random direction, and with both.

`choice` prints, for eight simulated micrographs of 640² on which the method of the choice was selected, IoU with the
settings that are chosen from the micrograph, with fixed ones, and with the best of all; and IoU of the control, fixed
and best.

`train` is described in benchmarks/click_training.py. It resumes: call it again for the cells that are missing.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.click_labels import BEST_DISC_RADII, CONTROL, control_label, crf_label
from benchmarks.click_picture import draw_steps
from benchmarks.click_training import train_cells
from benchmarks.reconstruction import DATA, MAP, SIMULATION, WORKING_PIXEL_SIZE, real_samples
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.images import read_micrograph
from crisp_core.formats.settings import DownloadSettings
from crisp_core.geometry import rescaled_xy
from crisp_core.labels.click_choice import candidates
from crisp_core.labels.discs import disc_label
from crisp_core.labels.settings import ClickSettings
from crisp_core.labels.thresholds import threshold_label
from crisp_core.preparation.normalization import prepare
from crisp_core.simulation.micrograph import simulate_micrograph
from crisp_core.simulation.volumes import read_density

ELONGATED = DATA / "models/maps/polnet_5A_3ipm.mrc.gz"
# density, diameter (Å), and changes of the simulation
SIMULATED: dict[str, tuple[Path, float, dict[str, Any]]] = {
    "bgal": (MAP, 180.0, {}),
    "weak": (MAP, 180.0, {"snr": 0.0025}),
    "elongated": (
        ELONGATED,
        300.0,
        {"n_particles": (60, 60), "min_distance_angstrom": 250, "margin_angstrom": 150},
    ),
}
N_MICROGRAPHS = 2
LOW_PASSES, SMOOTHINGS = (0.04, 0.06, 0.08, 0.11), (0.0, 0.03, 0.06)
APOFERRITIN_PX, APOFERRITIN_PIXEL_SIZE = 82, 1.5


class Sample(NamedTuple):
    """A prepared micrograph, its particles (working px) and the true outlines."""

    image: np.ndarray
    valid: np.ndarray
    xy: np.ndarray
    diameter_px: float
    pixel_size: float
    truth: np.ndarray


def simulated(name: str, seed: int) -> Iterator[Sample]:
    """Yield the micrographs of a simulated set."""
    path, diameter, changes = SIMULATED[name]
    options = {"volume_pixel_size": None, "resolution_angstrom": 8.0, "downloads": DownloadSettings()}
    volume = read_density(str(path), pixel_size=WORKING_PIXEL_SIZE, **options)
    for i in range(N_MICROGRAPHS):
        made = simulate_micrograph(volume, name=f"{name}_{i}", **{**SIMULATION, **changes, "seed": seed})
        ready = prepare(made.image, WORKING_PIXEL_SIZE, working_pixel_size=WORKING_PIXEL_SIZE)
        truth = threshold_label(made.ctf_free, method="li").astype(bool)
        xy = made.coordinates[["x", "y"]].to_numpy()
        yield Sample(ready.image, ready.valid, xy, diameter / WORKING_PIXEL_SIZE, WORKING_PIXEL_SIZE, truth)


def apoferritin() -> Iterator[Sample]:
    """Yield the micrographs of EMPIAR-10146 at 25 px per particle."""
    for path in sorted((DATA / "empiar-10146/micrographs").glob("*.png")):
        micrograph = read_micrograph(path, pixel_size=APOFERRITIN_PIXEL_SIZE)
        ready = prepare(micrograph.image, APOFERRITIN_PIXEL_SIZE, working_pixel_size=4.92)
        table = read_coordinates(DATA / "empiar-10146/coordinates" / f"{path.stem}.csv")
        xy = rescaled_xy(table[["x", "y"]].to_numpy(), micrograph.image.shape, ready.image.shape)
        diameter_px = APOFERRITIN_PX * APOFERRITIN_PIXEL_SIZE / ready.pixel_size
        truth = disc_label(ready.image.shape, xy, radius_px=diameter_px / 2).astype(bool)
        yield Sample(ready.image, ready.valid, xy, diameter_px, ready.pixel_size, truth)


def galactosidase() -> Iterator[Sample]:
    """Yield the micrographs of EMPIAR-10017 at 7.08 Å/px, with CASSPER's labels."""
    for sample in real_samples(shift_px=0):
        ready = prepare(sample.image, sample.pixel_size, working_pixel_size=WORKING_PIXEL_SIZE)
        xy = rescaled_xy(sample.coordinates[["x", "y"]].to_numpy(), sample.image.shape, ready.image.shape)
        valid = ready.valid & sample.valid
        yield Sample(ready.image, valid, xy, 191 / ready.pixel_size, ready.pixel_size, sample.truth)


def iou(samples: Sequence[Sample], labels: Sequence[np.ndarray]) -> float:
    """Return the IoU of all valid pixels of the micrographs together."""
    counts = [
        ((label & s.truth & s.valid).sum(), ((label | s.truth) & s.valid).sum())
        for s, label in zip(samples, labels, strict=True)
    ]
    both, either = np.sum(counts, axis=0)
    return float(both / either)


def place(sample: Sample) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return what the labels from clicks are made from: image, valid pixels, clicks and diameter."""
    return sample.image, sample.valid, sample.xy, sample.diameter_px


def disc_iou(samples: Sequence[Sample], radius: float) -> float:
    """Return the IoU of discs with a radius in diameters."""
    made = [disc_label(s.truth.shape, s.xy, radius_px=radius * s.diameter_px).astype(bool) for s in samples]
    return iou(samples, made)


def measure(samples: list[Sample]) -> dict[str, float]:
    """Return the IoU of every kind of label, and the mean equivalent diameter in Å."""

    def control(lowpass: float, smoothing: float) -> float:
        """Return the IoU of the control."""
        return iou(samples, [control_label(*place(s), lowpass, smoothing).instances > 0 for s in samples])

    made = [crf_label(*place(s), ClickSettings()) for s in samples]
    print(*dict.fromkeys(label.refusal for label in made if label.refusal), sep="\n", end="")
    sizes = [label.diameter_px * s.pixel_size for label, s in zip(made, samples, strict=True)]
    return {
        "crf": iou(samples, [label.instances > 0 for label in made]),
        "control": control(*CONTROL),
        "best_control": max(control(*lengths) for lengths in product(LOW_PASSES, SMOOTHINGS)),
        "default_disc": disc_iou(samples, 0.25),
        "best_disc": max(disc_iou(samples, radius) for radius in BEST_DISC_RADII),
        "diameter_angstrom": float(np.mean(sizes)),
        "refused": sum(bool(label.refusal) for label in made),
    }


# factor of the diameter, and distance of the clicks from the particles in px
ERRORS = ((1.0, 0.0), (0.85, 0.0), (1.15, 0.0), (1.0, 2.0), (0.85, 2.0), (1.15, 2.0))


def with_error(sample: Sample, factor: float, shift_px: float, rng: np.random.Generator) -> Sample:
    """Return a sample with a wrong diameter and wrong clicks.

    Parameters
    ----------
    sample : Sample
        Micrograph with right clicks.
    factor : float
        Wrong diameter divided by the right one.
    shift_px : float
        Distance of each click from the particle, working px.
    rng : Generator
        Draws the directions.
    """
    angles = rng.uniform(0, 2 * np.pi, len(sample.xy))
    xy = np.asarray(sample.xy, dtype=float) + shift_px * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return sample._replace(xy=xy, diameter_px=factor * sample.diameter_px)


def print_errors(sets: Sequence[str], seeds: Sequence[int]) -> None:
    """Print a row for each set, seed and error of the user."""
    for name, seed, samples in samples_of(sets, seeds):
        for factor, shift_px in ERRORS:
            rng = np.random.default_rng(seed)
            wrong = [with_error(sample, factor, shift_px, rng) for sample in samples]
            crf = iou(wrong, [crf_label(*place(s), ClickSettings()).instances > 0 for s in wrong])
            control = iou(wrong, [control_label(*place(s), *CONTROL).instances > 0 for s in wrong])
            print(f"{name} {seed} diameter × {factor}, clicks off by {shift_px} px:", end=" ")
            print(f"crf {crf:.3f} control {control:.3f} default_disc {disc_iou(wrong, 0.25):.3f}", flush=True)


def crowd(path: Path, diameter: float, snr: float, seed: int) -> Sample:
    """Return a micrograph of 640² with about as many particles as fit.

    Parameters
    ----------
    path : Path
        Density.
    diameter : float
        Diameter of the particle, Å.
    snr : float
        Signal-to-noise ratio of the simulation.
    seed : int
        Seed of the simulation.
    """
    options = {"volume_pixel_size": None, "resolution_angstrom": 8.0, "downloads": DownloadSettings()}
    volume = read_density(str(path), pixel_size=WORKING_PIXEL_SIZE, **options)
    n = 50 if diameter < 200 else 25
    changes = {"shape": (640, 640), "n_particles": (n, n), "min_distance_angstrom": 0.83 * diameter}
    changes |= {"margin_angstrom": diameter / 2, "snr": snr, "seed": seed}
    made = simulate_micrograph(volume, name=f"t{seed}", **{**SIMULATION, **changes})
    ready = prepare(made.image, WORKING_PIXEL_SIZE, working_pixel_size=WORKING_PIXEL_SIZE)
    truth = threshold_label(made.ctf_free, method="li").astype(bool)
    xy = made.coordinates[["x", "y"]].to_numpy()
    return Sample(ready.image, ready.valid, xy, diameter / WORKING_PIXEL_SIZE, WORKING_PIXEL_SIZE, truth)


CHOICE = (
    *((MAP, 180.0, snr, seed) for snr, seed in ((0.005, 11), (0.0012, 12), (0.02, 14), (0.0025, 15), (0.005, 17))),
    *((MAP, 180.0, 0.0025, 18), (ELONGATED, 300.0, 0.005, 13), (ELONGATED, 300.0, 0.0015, 16)),
)


def print_choice() -> None:
    """Print a row for each micrograph of `CHOICE`."""
    for path, diameter, snr, seed in CHOICE:
        sample = crowd(path, diameter, snr, seed)
        chosen = crf_label(*place(sample), ClickSettings())
        fixed = {
            (each.lowpass_diameters, each.weight): iou([sample], [crf_label(*place(sample), each).instances > 0])
            for each in candidates(ClickSettings())
        }
        lengths = product(LOW_PASSES, SMOOTHINGS)
        control = {each: iou([sample], [control_label(*place(sample), *each).instances > 0]) for each in lengths}
        name = (chosen.lowpass_diameters, chosen.weight)
        print(f"{path.name} SNR {snr}: chosen {name} {iou([sample], [chosen.instances > 0]):.3f},", end=" ")
        print(
            f"(0.06, 2) {fixed[0.06, 2]:.3f}, (0.08, 3) {fixed[0.08, 3]:.3f}, best {max(fixed.values()):.3f};", end=" "
        )
        print(f"control {control[CONTROL]:.3f}, best {max(control.values()):.3f}", flush=True)


def samples_of(sets: Sequence[str], seeds: Sequence[int]) -> Iterator[tuple[str, int, list[Sample]]]:
    """Yield name, seed and micrographs of the sets; real ones once, with seed 0."""
    for name in sets:
        for seed in seeds if name in SIMULATED else [0]:
            yield name, seed, list(REAL[name]() if name in REAL else simulated(name, seed))


def print_labels(sets: Sequence[str], seeds: Sequence[int]) -> None:
    """Print a row for each set and seed."""
    for name, seed, samples in samples_of(sets, seeds):
        print(name, seed, *(f"{key} {value:.3f}" for key, value in measure(samples).items()), flush=True)


REAL = {"empiar-10146": apoferritin, "empiar-10017": galactosidase}


def main() -> None:
    """Run a part of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    labels, errors, picture, training = (parts.add_parser(name) for name in ("labels", "errors", "picture", "train"))
    parts.add_parser("choice")
    picture.add_argument("file", type=Path)
    for each in (labels, errors):
        each.add_argument("--sets", nargs="+", default=[*SIMULATED, *REAL], choices=[*SIMULATED, *REAL])
    training.add_argument("folder", type=Path)
    training.add_argument("--lock", type=Path)
    for each in (labels, errors, training):
        each.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    given = parser.parse_args()
    if given.part == "labels":
        print_labels(given.sets, given.seeds)
    elif given.part == "errors":
        print_errors(given.sets, given.seeds)
    elif given.part == "choice":
        print_choice()
    elif given.part == "picture":
        sample = next(apoferritin())
        draw_steps(given.file, sample.image, sample.valid, sample.xy, sample.diameter_px)
    else:
        train_cells(given.folder, given.seeds, given.lock)


if __name__ == "__main__":
    main()
