"""Seconds and memory of one simulated micrograph, and one beside a real one: `python benchmarks/simulation.py`.

The table is of examples/empiar-10017-synthetic.yaml (4096² at 1.77 Å/px, 150 particles), from the phantom unless
--volume names another density. Times are the least of several micrographs after the first, in seconds of the clock and
of the processor: what else the machine does lengthens the first only.
`--compare picture.jpg` draws a micrograph of examples/realistic.yaml beside one of EMPIAR-10146 instead, with their
spectra, and prints the ratio of the powers by band. Real data: ../shared/data or $CRISP_TEST_DATA.
"""

import argparse
import itertools
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[1]))

from crisp_core.ctf import ctf_spread_px, through_ctf
from crisp_core.formats.arrays import write_array
from crisp_core.formats.images import read_micrograph
from crisp_core.formats.settings import DownloadSettings
from crisp_core.labels.pixel_classes import add_scenery_classes
from crisp_core.labels.thresholds import threshold_label
from crisp_core.settings.checks import check_settings
from crisp_core.simulation.centers import draw_centers, draw_rotations
from crisp_core.simulation.micrograph import SimulatedMicrograph, image_scenery, padded_shape, simulate_micrograph
from crisp_core.simulation.noise import colour_noise
from crisp_core.simulation.projections import place_projections, project
from crisp_core.simulation.scenery import draw_scenery
from crisp_core.simulation.settings import ScenerySettings
from crisp_core.simulation.volumes import phantom, read_density

ROOT = Path(__file__).parents[1]
REAL = "empiar-10146/micrographs/May08_03.43.44.png"
# Of that micrograph, by its Thon rings; a name whose draws have no carbon, as it has none.
REAL_DEFOCUS_ANGSTROM, SIMULATED_NAME = 20000.0, "e"
N_PARTICLES_REAL = 150
# Bounds of the bands that are compared, Å.
BANDS_ANGSTROM = (900, 450, 225, 130, 75, 56, 45, 33, 26, 18, 12, 7, 4, 3.1)


def example(file: str) -> dict[str, Any]:
    """The one dataset of an example, with the schema's defaults."""
    config = yaml.safe_load((ROOT / "examples" / file).read_text())
    return next(iter(check_settings(config).plain()["datasets"].values()))


def optics(dataset: dict[str, Any]) -> dict[str, float]:
    """Of a dataset: voltage, aberration and amplitude contrast."""
    return {key: dataset[key] for key in ("voltage_kv", "spherical_aberration_mm", "amplitude_contrast")}


def simulate(volume: np.ndarray, dataset: dict[str, Any], name: str, **changed: Any) -> SimulatedMicrograph:
    """One micrograph of a dataset, as the rule simulate makes it."""
    settings = dataset["simulation"] | changed
    keys = "n_particles min_distance_angstrom defocus_angstrom snr snr_pixel_size".split()
    scenery = settings["scenery"]
    margin, diameter = settings["margin_angstrom"], dataset["particle_diameter_angstrom"]
    return simulate_micrograph(
        volume,
        name=name,
        seed=1,
        shape=tuple(settings["shape_px"]),
        pixel_size=dataset["pixel_size"],
        margin_angstrom=diameter / 2 if margin is None else margin,
        diameter_angstrom=diameter,
        optics=optics(dataset),
        scenery=ScenerySettings.of(scenery) if isinstance(scenery, dict) else scenery,
        **{key: settings[key] for key in keys},
    )


def timed(times: dict[str, list], stage: str, action: Callable, *arguments: Any, **options: Any) -> Any:
    """Result of a call; its time on the clock and of the processor go to `times`."""
    clock, processor = time.perf_counter(), time.process_time()
    result = action(*arguments, **options)
    times.setdefault(stage, []).append((time.perf_counter() - clock, time.process_time() - processor))
    return result


def write(folder: str, micrograph: SimulatedMicrograph, pixel_size: float) -> None:
    """Write what the rule simulate writes of a micrograph."""
    with h5py.File(Path(folder) / "batch.h5", "w") as file:
        for kind in ("image", "clean", "ctf_free", "scenery"):
            data = getattr(micrograph, kind)
            if data is not None:
                write_array(file, kind, "a", data, pixel_size=pixel_size, full_shape=data.shape)


def stages(volume: np.ndarray, dataset: dict[str, Any], scenery: ScenerySettings, repeats: int) -> dict[str, list]:
    """Times of every stage, and of the whole without and with scenery."""
    times: dict[str, list] = {}
    pixel_size, shape = dataset["pixel_size"], tuple(dataset["simulation"]["shape_px"])
    diameter_px = dataset["particle_diameter_angstrom"] / pixel_size
    lens = {**optics(dataset), "pixel_size": pixel_size, "defocus_angle_deg": 0.0}
    lens["defocus_u_angstrom"] = lens["defocus_v_angstrom"] = 33447.0
    canvas = padded_shape(shape, ctf_spread_px(pixel_size, lens["voltage_kv"], 33447.0))
    with tempfile.TemporaryDirectory() as folder:
        for i in range(repeats):
            rng, own = np.random.default_rng(i), {"diameter_px": diameter_px, "seed": 1, "name": str(i)}
            spacing = {"min_distance_px": 150 / pixel_size, "margin_px": diameter_px / 2}
            xy = timed(times, "centres", draw_centers, shape, 150, **spacing, rng=rng)
            images = timed(times, "projections", project, volume, draw_rotations(150, rng))
            placed = timed(times, "placement", place_projections, canvas, images, xy)
            timed(times, "CTF", through_ctf, placed, **lens)
            white = timed(times, "noise", rng.standard_normal, shape, dtype=np.float32)
            timed(times, "coloured noise", colour_noise, white, pixel_size=pixel_size, **dict(scenery.noise))
            scene = draw_scenery(shape, scenery, pixel_size=pixel_size, **own)
            timed(times, "scenery", image_scenery, scene, shape, scenery, volume=volume, lens=lens, **own)
            plain = timed(times, "all, as the paper", simulate, volume, dataset, str(i), n_particles=(150, 150))
            timed(times, "write", write, folder, plain, pixel_size)
            full = timed(times, "all, with scenery", simulate, volume, dataset, str(i), scenery=scenery)
            timed(times, "write, with scenery", write, folder, full, pixel_size)
            del plain
            label = timed(times, "label", threshold_label, full.ctf_free)
            timed(times, "label, four classes", add_scenery_classes, label, full.scenery)
    return times


def print_stages(volume_name: str | None, repeats: int) -> None:
    """Print the table of times."""
    dataset = example("empiar-10017-synthetic.yaml")
    pixel_size, diameter = dataset["pixel_size"], dataset["particle_diameter_angstrom"]
    if volume_name is None:
        volume = phantom(diameter / pixel_size, seed=1)
    else:
        options = {"volume_pixel_size": None, "resolution_angstrom": 4.0, "downloads": DownloadSettings()}
        volume = read_density(volume_name, pixel_size=pixel_size, **options)
    scenery = example("realistic.yaml")["simulation"]["scenery"]
    scenery["carbon"]["probability"] = 1.0
    scenery = ScenerySettings.of(scenery)
    times = stages(volume, dataset, scenery, repeats)
    print(f"{dataset['simulation']['shape_px']} px, 150 particles in boxes of {len(volume)} px")
    print(f"{'stage':<22}{'first s':>9}{'least s':>9}{'least CPU s':>13}")
    for stage, runs in times.items():
        clock, processor = np.min(runs[1:] or runs, axis=0)
        print(f"{stage:<22}{runs[0][0]:>9.2f}{clock:>9.2f}{processor:>13.2f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def radial_power(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (1/px) and mean power over rings of the largest centred square, behind a Hann window."""
    side = min(image.shape)
    image = image[:side, :side] - image.mean(dtype=float)
    window = np.hanning(side)[:, None] * np.hanning(side)
    power = np.abs(np.fft.fft2(image * window)) ** 2 / (window**2).sum()
    frequency = np.fft.fftfreq(side)
    ring = (np.hypot(frequency[:, None], frequency) * side).astype(int).ravel()
    mean = np.bincount(ring, power.ravel()) / np.bincount(ring)
    return np.arange(1, side // 2) / side, mean[1 : side // 2]


def compare(picture: Path) -> None:
    """Draw a simulated micrograph beside a real one, and print the ratio of their powers by band."""
    dataset = example("realistic.yaml")
    dataset["simulation"]["scenery"]["carbon"]["probability"] = 0.0
    data = Path(os.environ.get("CRISP_TEST_DATA", ROOT / "../shared/data"))
    pixel_size, settings = dataset["pixel_size"], dataset["simulation"]
    model = str(data / "models" / Path(settings["volume"]).name)
    options = {
        "volume_pixel_size": None,
        "resolution_angstrom": settings["model_resolution_angstrom"],
        "downloads": DownloadSettings(),
    }
    volume = read_density(model, pixel_size=pixel_size, **options)
    drawn = {"n_particles": (N_PARTICLES_REAL,) * 2, "defocus_angstrom": [REAL_DEFOCUS_ANGSTROM]}
    images = {
        "real": read_micrograph(data / REAL, name="real", pixel_size=pixel_size)[0],
        "simulated": simulate(volume, dataset, SIMULATED_NAME, **drawn).image,
    }
    spectra = {}
    for title, image in images.items():
        frequency, power = radial_power(image)
        # The mean over fine detail, where there is nothing but noise, is 1.
        spectra[title] = power / power[frequency > 0.2].mean()
    draw_comparison(picture, images, frequency / pixel_size, spectra)
    for low, high in itertools.pairwise(BANDS_ANGSTROM):
        band = (frequency / pixel_size >= 1 / low) & (frequency / pixel_size < 1 / high)
        real, simulated = (spectra[title][band].mean() for title in ("real", "simulated"))
        print(f"{low:6g} to {high:4g} Å: real {real:8.2f} simulated {simulated:8.2f} ratio {simulated / real:.2f}")


def draw_comparison(
    picture: Path, images: dict[str, np.ndarray], frequency: np.ndarray, spectra: dict[str, np.ndarray]
) -> None:
    """Save the two images, low-passed and shown alike, above the two spectra."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 10.5), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    above = {"real": "EMPIAR-10146, real", "simulated": "simulated"}
    panels = figure.subplot_mosaic([["simulated", "real"], ["spectra", "spectra"]], height_ratios=[1, 0.75])
    for title, image in images.items():
        smooth = ndimage.gaussian_filter((image - image.mean()) / image.std(), 2.5)
        panels[title].imshow(smooth, cmap="gray", vmin=-3 * smooth.std(), vmax=3 * smooth.std())
        panels[title].set(title=above[title], xticks=[], yticks=[])
        panels["spectra"].loglog(frequency, spectra[title], label=above[title], lw=1.2)
    panels["spectra"].set(xlabel="spatial frequency (1/Å)", ylabel="mean power, 1 at fine detail", xlim=(6e-4, 0.34))
    panels["spectra"].legend()
    picture.parent.mkdir(parents=True, exist_ok=True)
    options = {"pil_kwargs": {"quality": 85}} if picture.suffix in (".jpg", ".jpeg") else {}
    figure.savefig(picture, **options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--volume", help="map or atomic model; the phantom unless given")
    parser.add_argument("--repeats", type=int, default=4, help="micrographs, the first of which does not count")
    parser.add_argument("--compare", type=Path, metavar="PICTURE", help="draw the comparison and do no timing")
    given = parser.parse_args()
    if given.compare:
        compare(given.compare)
    else:
        print_stages(given.volume, given.repeats)
