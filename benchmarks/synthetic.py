"""Simulated micrographs like EMPIAR-10017's, a network trained on them, and its scores: what two benchmarks share.

Nothing here needs Snakemake or ASPIRE. Projections are FINUFFT's, or PyTorch's with `projector="torch"`.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch
from skimage.transform import resize

sys.path.insert(0, str(Path(__file__).parents[1]))

from crisp_core.evaluation.pixels import PixelCounts, count_pixels
from crisp_core.formats.arrays import read_array, write_array
from crisp_core.geometry import rescaled_shape
from crisp_core.labels.thresholds import threshold_label
from crisp_core.preparation.normalization import fourier_resample, prepare
from crisp_core.segmentation.crops import LabelledMicrograph
from crisp_core.segmentation.inference import predict
from crisp_core.segmentation.networks import build_network
from crisp_core.segmentation.settings import NetworkSettings, PredictionSettings
from crisp_core.segmentation.training import fit
from crisp_core.segmentation.training_settings import TrainingSettings
from crisp_core.simulation import micrograph as simulation
from crisp_core.simulation.micrograph import simulate_micrograph

DATA = Path(os.environ.get("CRISP_TEST_DATA", Path(__file__).parents[2] / "shared/data"))
MAP = DATA / "maps/sim_5a1a_bgal_D2_3.54A_80.mrc"
MAP_PIXEL_SIZE = 3.54
PIXEL_SIZE, DIAMETER_ANGSTROM, SEED = 1.77, 180.0, 1
SIMULATION: dict[str, Any] = {
    "seed": SEED,
    "pixel_size": PIXEL_SIZE,
    "min_distance_angstrom": 150.0,
    "margin_angstrom": 90.0,
    "defocus_angstrom": [
        *(15604.0, 15913.0, 16060.0, 19749.0, 23291.0, 24486.0, 27064.0, 27915.0, 28392.0, 30975.0, 33447.0),
    ],
    "snr": 0.005,
    "snr_pixel_size": PIXEL_SIZE,
    "optics": {"voltage_kv": 300.0, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1},
}


def torch_project(volume: np.ndarray, euler_deg: np.ndarray) -> np.ndarray:
    """Projections as `crisp_core.simulation.projections.project` makes them, by trilinear interpolation in PyTorch."""
    from scipy.spatial.transform import Rotation

    device = "cuda" if torch.cuda.is_available() else "cpu"
    n = len(volume)
    density = torch.as_tensor(volume, dtype=torch.float32, device=device)[None, None]
    axis = (torch.arange(n, device=device) - n // 2).float()
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    points = torch.stack([x, y, z], dim=-1)
    matrices = Rotation.from_euler("ZYZ", np.asarray(euler_deg, dtype=float), degrees=True).as_matrix()
    images = []
    for matrix in torch.as_tensor(matrices, dtype=torch.float32, device=device):
        # the density that lands on a point of the image's frame: RELION's matrix is the inverse of scipy's
        source = (points @ matrix.T + n // 2 + 0.5) * 2 / n - 1
        turned = torch.nn.functional.grid_sample(density, source[None], align_corners=False)
        images.append(turned[0, 0].sum(dim=0).cpu().numpy())
    return np.array(images, dtype=np.float32).reshape(-1, n, n)


def simulate(
    folder: Path, volume: np.ndarray, *, n: int, side_px: int, n_particles: Sequence[int], workers: int, projector: str
) -> pd.DataFrame:
    """Noisy and CTF-free micrographs in one file each, and their true centres; what is there already stays."""
    one = partial(simulate_one, folder, volume, side_px, tuple(n_particles), projector)
    names = [f"m{i:03d}" for i in range(n)]
    missing = [name for name in names if not (folder / f"{name}.h5").exists()]
    run: Callable = map
    if workers > 1:
        run = ProcessPoolExecutor(workers).map
    for i, (name, count) in enumerate(run(one, missing), start=1):
        print(f"simulated {i} of {len(missing)}: {name}, {count} particles", flush=True)
    return pd.concat([pd.read_csv(folder / f"{name}.tsv", sep="\t") for name in names], ignore_index=True)


def simulate_one(
    folder: Path, volume: np.ndarray, side_px: int, n_particles: Sequence[int], projector: str, name: str
) -> tuple[str, int]:
    """Simulate one micrograph into files of the folder; its name and number of particles."""
    if projector == "torch":
        simulation.project = torch_project
    made = simulate_micrograph(volume, name=name, shape=(side_px, side_px), n_particles=n_particles, **SIMULATION)
    grid = {"pixel_size": PIXEL_SIZE, "full_shape": made.image.shape}
    with h5py.File(folder / f"{name}.part", "w") as file:
        for kind in ("image", "ctf_free"):
            write_array(file, kind, name, getattr(made, kind), **grid)
    made.coordinates[["micrograph", "x", "y"]].to_csv(folder / f"{name}.tsv", sep="\t", index=False)
    (folder / f"{name}.part").rename(folder / f"{name}.h5")
    return name, len(made.coordinates)


def prepared(folder: Path, names: Sequence[str], pixel_size: float) -> dict[str, LabelledMicrograph]:
    """Images, valid areas and labels at a working pixel size, in one file each; what is there already stays."""
    paths = {name: folder / f"{name}-{pixel_size:g}.h5" for name in names}
    for name, path in paths.items():
        if path.exists():
            continue
        image = read_array(folder / f"{name}.h5", "image", name).data
        clean = read_array(folder / f"{name}.h5", "ctf_free", name).data
        made = prepare(image, PIXEL_SIZE, working_pixel_size=pixel_size, normalization="robust")
        label = threshold_label(fourier_resample(clean, rescaled_shape(image.shape, PIXEL_SIZE, pixel_size)))
        with h5py.File(path.with_suffix(".part"), "w") as file:
            for kind, values in (("image", made.image), ("valid", made.valid), ("label", label)):
                write_array(file, kind, name, values, pixel_size=pixel_size, full_shape=image.shape)
        path.with_suffix(".part").rename(path)
    return {name: LabelledMicrograph(name, str(path), str(path)) for name, path in paths.items()}


def trained(
    parts: Mapping[str, Sequence[LabelledMicrograph]],
    network: Mapping[str, Any],
    training: Mapping[str, Any],
    prediction: Mapping[str, Any],
    device: str,
) -> tuple[torch.nn.Module, pd.DataFrame, float]:
    """Network with the weights of its best epoch, its history, and the seconds of the training."""
    torch.manual_seed(SEED)
    built = build_network(NetworkSettings(**{"encoder_weights": None, **network}), 2)
    settings = TrainingSettings(**{"contrast_jitter": 0.0, **training})
    options = {"prediction": PredictionSettings(**prediction), "device": device, "seed": SEED}
    start = time.perf_counter()
    state, history = fit(built, parts["train"], parts["validation"], settings=settings, **options)
    seconds = time.perf_counter() - start
    built.load_state_dict(state)
    return built.eval(), pd.DataFrame(history), seconds


def predicted(
    network: torch.nn.Module, micrographs: Sequence[LabelledMicrograph], prediction: Mapping[str, Any], device: str
) -> tuple[dict[str, np.ndarray], float]:
    """Particle probability of each micrograph, and the seconds that one takes."""
    start = time.perf_counter()
    maps = {
        m.name: predict(network, read_array(m.images, "image", m.name).data, device=device, **prediction)[1]
        for m in micrographs
    }
    return maps, (time.perf_counter() - start) / len(maps)


def full_size_counts(folder: Path, maps: Mapping[str, np.ndarray]) -> list[PixelCounts]:
    """Pixels of each micrograph at full resolution: probabilities up-sampled to it, labels made there."""
    counts = []
    for name, probability in maps.items():
        label = threshold_label(read_array(folder / f"{name}.h5", "ctf_free", name).data)
        if probability.shape != label.shape:
            probability = resize(probability, label.shape, order=1)
        counts.append(count_pixels(probability, label, np.ones(label.shape, dtype=bool)))
    return counts
