"""Labels from orientations that were found in the images alone, against the truth and against discs.

    python benchmarks/reconstruction.py simulated [engine …]
    python benchmarks/reconstruction.py real [--relion-micrographs 3] [--overlays FOLDER]

simulated: six micrographs of 1024² with 150 beta-galactosidase tetramers each, as the default run simulates them. The
angles are thrown away, found again by every engine (poses: the true ones), and the outlines compared with the true
labels. real: the 12 micrographs of EMPIAR-10017 with CryoPPP's coordinates, against CASSPER's class labels. The real
data is ../shared/data or what CRISP_TEST_DATA names. Two slow cores: about 10 and 15 minutes.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[1]))

from crisp_core.evaluation.pixels import count_pixels, iou, pool_pixels, precision, recall
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.images import read_micrograph
from crisp_core.formats.poses import ANGLE_LABELS, ORIGIN_LABELS
from crisp_core.formats.relion_labels import CTF_LABELS
from crisp_core.formats.relion_optics import optics_table
from crisp_core.formats.relion_particles import particles_table
from crisp_core.formats.volumes import read_volume
from crisp_core.labels.discs import disc_label
from crisp_core.labels.outlines import merge_outlines, outline_density, project_outlines
from crisp_core.labels.thresholds import threshold_label
from crisp_core.particles.extraction import extract_particles
from crisp_core.particles.stacks import write_stack
from crisp_core.preparation.normalization import fourier_resample
from crisp_core.reconstruction.engines import CORRELATION, find_orientations
from crisp_core.reconstruction.matching import direction_vectors
from crisp_core.reconstruction.stacks import coarse_boxes, volume_in_box
from crisp_core.simulation.micrograph import simulate_micrograph
from crisp_core.simulation.volumes import resample_volume

DATA = Path(os.environ.get("CRISP_TEST_DATA", Path(__file__).parents[1] / "../shared/data")).resolve()
MAP = DATA / "maps/sim_5a1a_bgal_D2_3.54A_80.mrc"
OPTICS = {"voltage_kv": 300.0, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1}
WORKING_PIXEL_SIZE, SIDE = 7.08, 1024
SIMULATION = {
    "seed": 1,
    "shape": (SIDE, SIDE),
    "pixel_size": WORKING_PIXEL_SIZE,
    "n_particles": (150, 150),
    "min_distance_angstrom": 150,
    "margin_angstrom": 90,
    "defocus_angstrom": [15604, 15913, 16060, 19749, 23291, 24486, 27064, 27915, 28392, 30975, 33447],
    "snr": 0.005,
    "snr_pixel_size": 1.77,
    "optics": OPTICS,
}
SETTINGS = {
    "symmetry": "D2",
    "lowpass_angstrom": 30.0,
    "iterations": 8,
    "n_class_averages": 40,
    "threads": 2,
    "seed": 1,
}
# As labels/map_lowpass_angstrom and labels/threshold are by default.
OUTLINE_LOWPASS_ANGSTROM, THRESHOLD = 20.0, "li"
DISC_RADII_PX = np.arange(5, 12.5, 0.5)
# The class labels lie this many raw pixels to the right of the micrographs, all twelve alike (image against label by
# cross-correlation: 5.2 to 5.7).
CLASS_LABEL_SHIFT_PX = 6


class Sample(NamedTuple):
    """A micrograph, its particles (full-resolution px), and the label and mask to compare with (working px)."""

    name: str
    image: np.ndarray
    pixel_size: float
    coordinates: pd.DataFrame
    truth: np.ndarray
    valid: np.ndarray


def simulated_samples() -> Iterator[Sample]:
    """Micrographs with known labels."""
    volume = resample_volume(*read_volume(MAP), WORKING_PIXEL_SIZE)
    for i in range(6):
        made = simulate_micrograph(volume, name=f"simulated_{i + 1:04d}", **SIMULATION)
        truth = threshold_label(made.ctf_free, method="li").astype(bool)
        yield Sample(
            made.coordinates["micrograph"].iloc[0],
            *(made.image, WORKING_PIXEL_SIZE, made.coordinates, truth, np.ones_like(truth)),
        )


def real_samples(*, shift_px: int) -> Iterator[Sample]:
    """EMPIAR-10017 with CASSPER's labels, which are upside down and, unless `shift_px` undoes it, to the right."""
    folder = DATA / "empiar-10017"
    for path in sorted((folder / "micrographs").glob("*.jpg")):
        classes = np.asarray(Image.open(folder / "class_labels" / f"{path.stem}.png").convert("RGB"))
        classes = np.roll(classes[::-1], -shift_px, axis=1) > 127
        red, green, blue = np.moveaxis(classes, -1, 0)
        # one working pixel is centred on every fourth raw pixel
        share = [
            ndimage.uniform_filter(kind.astype(np.float32), 5)[::4, ::4] for kind in (red & ~green & ~blue, red & blue)
        ]
        image, pixel_size = read_micrograph(path, pixel_size=1.77)
        coordinates = read_coordinates(folder / "coordinates" / f"{path.stem}.csv")
        yield Sample(path.stem, image, pixel_size, coordinates, share[0] >= 0.5, share[1] < 1e-3)


def stacked(samples: list[Sample], diameter_angstrom: float, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Extract the particles to a stack in `folder`; its optics and particles as the rule extract_for_reconstruction."""
    boxes = coarse_boxes(samples[0].pixel_size, diameter_angstrom)
    images, tables = [], []
    for sample in samples:
        table = sample.coordinates.assign(x=np.trunc(sample.coordinates["x"]), y=np.trunc(sample.coordinates["y"]))
        sizes = {"box_px": boxes.box_px, "bg_radius_px": boxes.bg_radius_px, "rescale_px": boxes.size_px}
        found = extract_particles(sample.image, table[["x", "y"]].to_numpy(), **sizes)
        images.append(found.stack)
        tables.append(table[found.reasons == ""])
    stack = folder / "particles.mrcs"
    write_stack(stack, images, size_px=boxes.size_px, pixel_size=boxes.pixel_size)
    table = pd.concat(tables, ignore_index=True)
    ctf = None
    if "rlnDefocusU" in table:
        ctf = table[["micrograph", *CTF_LABELS]].rename(columns=CTF_LABELS).drop_duplicates("micrograph")
    paths = {sample.name: f"{sample.name}.mrc" for sample in samples}
    particles = particles_table(table, stack=str(stack), micrograph_paths=paths, ctf=ctf)
    sizes = {"pixel_size": boxes.pixel_size, "box_px": boxes.size_px}
    return optics_table(**OPTICS, micrograph_pixel_size=samples[0].pixel_size, **sizes), particles


def outlined(samples: list[Sample], particles: pd.DataFrame, volume: np.ndarray, pixel_size: float) -> list[np.ndarray]:
    """Labels of the samples from particles with angles and origins, and the map (Å per voxel)."""
    density = outline_density(
        resample_volume(volume, pixel_size, WORKING_PIXEL_SIZE),
        None,
        pixel_size=WORKING_PIXEL_SIZE,
        lowpass_angstrom=OUTLINE_LOWPASS_ANGSTROM,
        threshold=THRESHOLD,
    )
    labels = []
    for sample in samples:
        rows = particles[particles["rlnMicrographName"] == f"{sample.name}.mrc"]
        xy = rows[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy()
        xy = (xy - rows[list(ORIGIN_LABELS.values())].to_numpy() / sample.pixel_size) * SIDE / len(sample.image)
        outlines = project_outlines(density, xy, rows[list(ANGLE_LABELS.values())].to_numpy(), threshold=THRESHOLD)
        labels.append(merge_outlines((SIDE, SIDE), range(1, len(rows) + 1), outlines) > 0)
    return labels


def scores(samples: list[Sample], labels: list[np.ndarray], near_px: float | None = None) -> tuple[float, float, float]:
    """IoU, precision and recall of labels; only within `near_px` of a coordinate where that is given."""
    counts = []
    for sample, label in zip(samples, labels, strict=True):
        valid = sample.valid & (discs(sample, near_px) if near_px else True)
        counts.append(count_pixels(label, sample.truth.astype(int), valid))
    pooled = pool_pixels(counts)
    return iou(pooled), precision(pooled), recall(pooled)


def discs(sample: Sample, radius_px: float) -> np.ndarray:
    """Discs around the coordinates, in working px."""
    xy = sample.coordinates[["x", "y"]].to_numpy() * SIDE / len(sample.image)
    return disc_label((SIDE, SIDE), xy, radius_px=radius_px).astype(bool)


def best_discs(samples: list[Sample]) -> tuple[str, list[np.ndarray]]:
    """The disc labels of highest IoU."""
    made = {radius: [discs(sample, radius) for sample in samples] for radius in DISC_RADII_PX}
    best = max(made, key=lambda radius: scores(samples, made[radius])[0])
    return f"discs of {best * WORKING_PIXEL_SIZE:.0f} Å, the best", made[best]


def found(engine: str, samples: list[Sample], diameter_angstrom: float) -> tuple[list[np.ndarray], float]:
    """Labels by an engine, and its seconds."""
    # RELION follows no absolute folder with blanks; a temporary one has none
    with tempfile.TemporaryDirectory() as folder:
        optics, particles = stacked(samples, diameter_angstrom, Path(folder))
        pixel_size, size_px = float(optics["rlnImagePixelSize"].iloc[0]), int(optics["rlnImageSize"].iloc[0])
        # relion-ab-initio is relion without its initial map
        name = engine.removesuffix("-ab-initio")
        volume = volume_in_box(*read_volume(MAP), pixel_size, size_px) if name == engine else None
        reach = {"diameter_angstrom": diameter_angstrom, "shift_range_angstrom": diameter_angstrom / 6}
        start = time.perf_counter()
        particles, volume = find_orientations(name, optics, particles, volume, folder=folder, **reach, **SETTINGS)
        seconds = time.perf_counter() - start
        report_angles(particles)
        return outlined(samples, particles, volume, pixel_size), seconds


def report_angles(particles: pd.DataFrame) -> None:
    """Print what the angles and correlations look like."""
    views = np.abs(direction_vectors(particles[["rlnAngleRot", "rlnAngleTilt"]].to_numpy())).argmax(axis=1)
    shares = np.bincount(views, minlength=3) / len(views)
    print("    views nearest to the axes x, y, z: " + ", ".join(f"{share:.0%}" for share in shares))
    origin = particles[list(ORIGIN_LABELS.values())].to_numpy()
    x, y = origin.mean(axis=0)
    print(f"    origins: mean ({x:.1f}, {y:.1f}) Å, sd {origin.std(axis=0).mean():.1f} Å")
    if CORRELATION in particles:
        print(f"    mean correlation {particles[CORRELATION].mean():.3f}")


def true_poses(samples: list[Sample]) -> list[np.ndarray]:
    """Labels from the angles that the simulation drew."""
    table = pd.concat([sample.coordinates for sample in samples], ignore_index=True)
    table = table.rename(columns={"x": "rlnCoordinateX", "y": "rlnCoordinateY"}).assign(
        **dict.fromkeys(ORIGIN_LABELS.values(), 0.0)
    )
    table["rlnMicrographName"] = table["micrograph"] + ".mrc"
    return outlined(samples, table, *read_volume(MAP))


def simulated(engines: list[str]) -> None:
    """Print the round trip's table."""
    samples = list(simulated_samples())
    line("", samples, *best_discs(samples))
    line("", samples, "poses, the true ones", true_poses(samples))
    for engine in engines:
        labels, seconds = found(engine, samples, 180.0)
        line("", samples, f"{engine}, {seconds:.0f} s", labels)


def real(n_relion: int, overlays: Path | None) -> None:
    """Print the tables of the real micrographs, and draw the overlays."""
    given, registered = (list(real_samples(shift_px=shift)) for shift in (0, CLASS_LABEL_SHIFT_PX))
    made: dict[str, tuple[int, Callable | list]] = {}
    labels, seconds = found("matching", given, 191.0)
    made[f"matching, {seconds:.0f} s"] = (len(given), labels)
    if n_relion:
        labels, seconds = found("relion", given[:n_relion], 191.0)
        made[f"relion, {seconds:.0f} s"] = (n_relion, labels)
    for title, samples in (("as given", given), (f"class labels moved {CLASS_LABEL_SHIFT_PX} px", registered)):
        for n in sorted({n for n, _ in made.values()}, reverse=True):
            line(f"{title}, {n} micrographs: ", samples[:n], *best_discs(samples[:n]))
            for name, (available, labels) in made.items():
                if available >= n:
                    line(f"{title}, {n} micrographs: ", samples[:n], name, labels[:n])
    if overlays is not None:
        for sample, label in zip(registered[::5], next(iter(made.values()))[1][::5], strict=True):
            draw(sample, label, overlays / f"labels_{sample.name}.png")


def line(title: str, samples: list[Sample], name: str, labels: list[np.ndarray]) -> None:
    """Print one row: everywhere, and within a diameter of the coordinates."""
    everywhere, near = scores(samples, labels), scores(samples, labels, near_px=27)
    text = " ".join(f"{value:.3f}" for value in everywhere)
    print(f"{title}{name:<32} IoU, precision, recall {text}   near coordinates {near[0]:.3f}", flush=True)


def draw(sample: Sample, label: np.ndarray, path: Path) -> None:
    """Low-passed micrograph with the label's outline in yellow, the class label's in red, the coordinates in cyan."""
    image = ndimage.gaussian_filter(fourier_resample(sample.image, (SIDE, SIDE)), 0.8)
    low, high = np.percentile(image, [1, 99])
    grey = np.clip((image - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    picture = np.kron(np.stack([grey] * 3, axis=-1), np.ones((2, 2, 1), dtype=np.uint8))
    for inside, colour in ((sample.truth, (255, 0, 0)), (label, (255, 255, 0)), (discs(sample, 0.8), (0, 255, 255))):
        inside = np.kron(inside, np.ones((2, 2), dtype=bool))
        picture[inside ^ ndimage.binary_erosion(inside)] = colour
    Image.fromarray(picture).save(path)


def main() -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=["simulated", "real"])
    parser.add_argument("engines", nargs="*", default=["matching", "aspire", "relion", "relion-ab-initio"])
    parser.add_argument("--relion-micrographs", type=int, default=3)
    parser.add_argument("--overlays", type=Path)
    options = parser.parse_args()
    if options.data == "simulated":
        simulated(options.engines)
    else:
        real(options.relion_micrographs, options.overlays)


if __name__ == "__main__":
    main()
