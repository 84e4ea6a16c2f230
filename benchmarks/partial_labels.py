"""Does a CRF help where labels miss particles? Network, control and CRFs after training on labels without a share.

Usage: python benchmarks/partial_labels.py FOLDER [--missing 0.5] [--micrographs 6] [--seeds 1 2 3]

Simulates micrographs like examples/plain.yaml, drops particles at random from the labels of the training and the
validation part, trains on what is left, and compares on the whole truth of the test part:
FOLDER/results/partial/tables/partial.tsv, and histograms of the probabilities beside it.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from crisp_core.formats.star import read_blocks, write_blocks  # noqa: E402

LABELLED = "partial.star"
# lengths as in examples/crf.yaml
FURTHER = {
    **{"epochs": 3, "network_learning_rate": 1.0e-4, "crf_learning_rate": 1.0e-2},
    **{"alpha_diameters": 6.29, "gamma_diameters": 0.118, "lowpass_diameters": 0.0787},
}
DATASET = {
    "micrographs": "results/plain/micrographs/*.mrc",
    "pixel_size": 7.08,
    "particle_diameter_angstrom": 180,
    "coordinates": {"files": LABELLED, "format": "relion-particles", "origin": "top-left"},
    "labels": {"source": "poses", "poses": LABELLED, "map": "results/plain/density.mrc"},
}
EXPERIMENTS = {
    "net": {
        "network": {"encoder_weights": None},
        "training": {"start": "random", "epochs": 5, "crops_per_micrograph": 128},
    },
    "control": {"extend": "net", "crf": {"type": "control"} | FURTHER},
    "intensity": {"extend": "control", "crf": {"type": "intensity"}},
    "logits": {"extend": "control", "crf": {"type": "logits"}},
    "learned": {"extend": "control", "crf": {"type": "learned"}},
}


def snakemake(folder: Path, config: dict, *targets: str) -> None:
    """Run the workflow in a folder with a config laid over examples/plain.yaml."""
    (folder / "study.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--workflow-profile", str(ROOT / "profiles/default"), "--cores", "2"]
    configs = [str(ROOT / "examples/plain.yaml"), str(folder / "study.yaml")]
    subprocess.run([*command, "--configfile", *configs, "--", *targets], check=True)


def drop_particles(truth: Path, kept: Path, micrographs: list[str], share: float) -> None:
    """Write a star file of particles without a share of those on some of its micrographs."""
    blocks = read_blocks(truth)
    particles = blocks["particles"]
    dropped = np.random.default_rng(1).random(len(particles)) < share
    dropped &= particles["rlnMicrographName"].map(lambda name: Path(name).stem).isin(micrographs).to_numpy()
    write_blocks(kept, blocks | {"particles": particles[~dropped].reset_index(drop=True)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--missing", type=float, default=0.5)
    parser.add_argument("--micrographs", type=int, default=6)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)

    simulation = {"datasets": {"plain": {"simulation": {"n_micrographs": given.micrographs}}}}
    simulation["datasets"]["plain"]["split"] = {"train": 1, "validation": 1, "test": "rest"}
    snakemake(given.folder, simulation, "results/plain/micrographs", "results/plain/simulation/0000.star")

    names = [f"simulated_{i + 1:04d}" for i in range(given.micrographs)]
    n_test = max(1, given.micrographs // 3)
    split = {"train": names[: -n_test - 1], "validation": names[-n_test - 1 : -n_test], "test": names[-n_test:]}
    truth = given.folder / "results/plain/simulation/0000.star"
    drop_particles(truth, given.folder / LABELLED, split["train"] + split["validation"], given.missing)

    table = {"rows": list(EXPERIMENTS), "seeds": given.seeds}
    config = {"run": ["partial/net"], "datasets": {"partial": DATASET | {"split": split}}}
    config |= {"experiments": EXPERIMENTS, "tables": {"partial": table}}
    results = "results/partial/tables/partial"
    snakemake(given.folder, config, f"{results}.png", f"{results}/histograms.png")
    made = pd.read_csv(given.folder / f"{results}.tsv", sep="\t", dtype={"seed": str})
    shown = ["experiment", "seed", "pixel_iou", "pixel_recall", "pixel_f1", "pick_f1", "n_regions", "unsure_share"]
    print(made.loc[made["seed"].isin(["mean", "sd"]), shown].round(4).to_string(index=False))
