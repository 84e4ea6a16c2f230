"""CRISP and other programs on the same simulated micrographs of 4096², from the raw MRC files to star files.

Usage: python benchmarks/throughput.py FOLDER [--count 24] [--rounds 2] [--cores 2] [--trained NETWORK.pt]
       [--programs crisp-general topaz relion-log skimage-log] [--stages]

Every round runs all programs, one after the other (A B A B), each from an empty folder. The table has wall time,
processor time (user and system, of all processes) and the largest process's memory: the smallest value of the rounds.
It is written after every run to FOLDER/throughput.tsv, with the load of the machine. `--stages` adds the processor time
of the stages of one micrograph within CRISP and of the network alone, of one thread, and that of the rules in the last
run of CRISP.

- crisp-general: the workflow without a config file, target `picks`.
- crisp-trained: the same with `--trained`, a network of an earlier run.
- topaz: `topaz preprocess` to 5.3 Å/px as in its tutorial, `topaz extract` with resnet16_u64, `topaz convert`.
- relion-log: `relion_autopick --LoG`, one process, as RELION's jobs without MPI.
- skimage-log: CRISP's preparation and scikit-image's blobs in one process.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from crisp_core.formats.mrc import write_mrc  # noqa: E402
from crisp_core.pickers.relion_log import RelionLog  # noqa: E402

SIDE_PX, PIXEL_SIZE, DIAMETER_ANGSTROM = 4096, 1.77, 181.0
PARTICLES = (300, 301)
# Å/px of Topaz's tutorial (EMPIAR-10025: 0.66 Å/px, down-sampled eight times)
TOPAZ_SCALE = round(5.3 / PIXEL_SIZE)
# score of a pick of a trained network
THRESHOLD = 0.5
REPEATS = 3


class Job(NamedTuple):
    """What a program costs: seconds of the clock and of processors, and memory of the largest process in MiB."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def make_micrographs(folder: Path, count: int) -> list[Path]:
    """Simulate what is missing of `count` micrographs, as MRC files of float32."""
    paths = [folder / f"m{i:03d}.mrc" for i in range(count)]
    folder.mkdir(parents=True, exist_ok=True)
    for path in (path for path in paths if not path.exists()):
        import synthetic

        from crisp_core.formats.volumes import read_volume
        from crisp_core.simulation.micrograph import simulate_micrograph
        from crisp_core.simulation.volumes import resample_volume

        volume = resample_volume(*read_volume(synthetic.MAP), PIXEL_SIZE)
        shape, options = (SIDE_PX, SIDE_PX), synthetic.SIMULATION
        made = simulate_micrograph(volume, name=path.stem, shape=shape, n_particles=PARTICLES, **options)
        write_mrc(path.with_suffix(".part"), made.image, pixel_size=PIXEL_SIZE, dtype=np.float32)
        path.with_suffix(".part").rename(path)
    return paths


def measured(command: list[str], folder: Path) -> Job:
    """Run a command in a folder; its output goes to log.txt there."""
    start = time.perf_counter()
    with open(folder / "log.txt", "ab") as log:
        run = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        # of this command and its descendants alone
        _, status, usage = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode:
        raise SystemExit(f"{command[0]} failed; see {folder}/log.txt")
    # kibibytes on Linux
    return Job(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def together(jobs: list[Job]) -> Job:
    """Cost of commands one after the other."""
    wall, cpu, peak = zip(*jobs, strict=True)
    return Job(sum(wall), sum(cpu), max(peak))


def workflow(folder: Path, cores: int, *arguments: str) -> Job:
    """Picks by the workflow."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--cores", str(cores)]
    return measured([*command, *arguments, "--", "picks"], folder)


def crisp_general(paths: list[Path], folder: Path, cores: int) -> Job:
    """The general network, without a config file."""
    keys = [f"micrographs={paths[0].parent}/*.mrc", f"diameter_angstrom={DIAMETER_ANGSTROM:g}"]
    return workflow(folder, cores, "--config", *keys, f"pixel_size={PIXEL_SIZE}")


def crisp_trained(network: Path) -> Callable[[list[Path], Path, int], Job]:
    """A network of an earlier run."""

    def run(paths: list[Path], folder: Path, cores: int) -> Job:
        """Write a config and run it."""
        dataset = {"micrographs": f"{paths[0].parent}/*.mrc", "pixel_size": PIXEL_SIZE}
        dataset["particle_diameter_angstrom"] = DIAMETER_ANGSTROM
        experiment = {"network": str(network.resolve()), "centers": {"finder": "nms", "threshold": THRESHOLD}}
        config = {"run": ["all/trained"], "datasets": {"all": dataset}, "experiments": {"trained": experiment}}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        return workflow(folder, cores, "--configfile", "config.yaml")

    return run


def topaz(paths: list[Path], folder: Path, cores: int) -> Job:
    """Preprocessing, extraction and conversion of Topaz."""
    program, small = [sys.executable, "-m", "topaz.main"], [f"small/{path.name}" for path in paths]
    radius = round(DIAMETER_ANGSTROM / 2 / PIXEL_SIZE / TOPAZ_SCALE)
    scale = ["-s", str(TOPAZ_SCALE)]
    preprocess = [*program, "preprocess", *scale, "-d", "-1", "-t", str(cores), "-o", "small", *map(str, paths)]
    options = ["-m", "resnet16_u64", "-r", str(radius), "-x", str(TOPAZ_SCALE), "-d", "-1", "-j", str(cores)]
    extract = [*program, "extract", *options, "-o", "picks.txt", *small]
    convert = [*program, "convert", "-t", "0", "-o", "picks.star", "picks.txt"]
    return together([measured(command, folder) for command in (preprocess, extract, convert)])


def relion_log(paths: list[Path], folder: Path, cores: int) -> Job:
    """RELION's Laplacian of Gaussian with its own threshold."""
    (folder / "in").mkdir()
    for path in paths:
        (folder / "in" / path.name).symlink_to(path)
    return measured(RelionLog().command_line(pixel_size=PIXEL_SIZE, diameter_angstrom=DIAMETER_ANGSTROM), folder)


def skimage_log(paths: list[Path], folder: Path, cores: int) -> Job:
    """Prepared images and scikit-image's Laplacian of Gaussian, in a process of its own."""
    return measured([sys.executable, str(Path(__file__)), "--skimage", str(folder), *map(str, paths)], folder)


def pick_blobs(folder: Path, paths: list[Path]) -> None:
    """Work of `skimage_log`."""
    from crisp_core.formats.images import read_micrograph
    from crisp_core.formats.relion_coordinates import write_coordinates_star
    from crisp_core.geometry import angstrom_to_px, rescaled_xy
    from crisp_core.pickers.skimage_log import SkimageLog
    from crisp_core.preparation.normalization import prepare

    tables = []
    for path in paths:
        image = read_micrograph(path, pixel_size=PIXEL_SIZE).image
        prepared = prepare(image, PIXEL_SIZE, working_pixel_size=DIAMETER_ANGSTROM / 25)
        found = SkimageLog().find_blobs(prepared.image, angstrom_to_px(DIAMETER_ANGSTROM, prepared.pixel_size))
        found[["x", "y"]] = rescaled_xy(found[["x", "y"]].to_numpy(), prepared.image.shape, image.shape)
        tables.append(found.assign(micrograph=path.stem))
    write_coordinates_star(folder / "picks.star", pd.concat(tables, ignore_index=True))


def stage_seconds(path: Path) -> pd.Series:
    """Processor time of every stage of one micrograph with the general network and one thread: the least of some."""
    import torch

    from crisp_core.formats.images import read_micrograph
    from crisp_core.geometry import angstrom_to_px
    from crisp_core.picking.search import find_centers
    from crisp_core.picking.shapes import with_shapes
    from crisp_core.segmentation.inference import predict
    from crisp_core.segmentation.networks import load_network
    from crisp_core.segmentation.preparing import prepared_for
    from crisp_core.segmentation.shipped import network_file

    torch.set_num_threads(1)
    trained, rows = load_network(network_file("general")), []
    for _ in range(REPEATS):
        times = [time.process_time()]
        image = read_micrograph(path, pixel_size=PIXEL_SIZE).image
        times.append(time.process_time())
        prepared = prepared_for(trained.facts.input, image, PIXEL_SIZE, DIAMETER_ANGSTROM)
        times.append(time.process_time())
        probability = predict(trained.network, prepared.image, tile_px=512, overlap_px=64)[1]
        times.append(time.process_time())
        lengths = {"diameter_px": angstrom_to_px(DIAMETER_ANGSTROM, prepared.pixel_size)}
        found = find_centers(probability, "nms", **lengths)
        times.append(time.process_time())
        with_shapes(found, probability, pixel_size=prepared.pixel_size, threshold=THRESHOLD, **lengths)
        times.append(time.process_time())
        rows.append(np.diff(times))
    return pd.Series(np.min(rows, axis=0), ["read", "prepare", "predict", "centres", "shapes"]).round(3)


def network_seconds() -> pd.DataFrame:
    """Processor seconds of the general network per million pixels, by tiles per step and layout of the weights."""
    import torch

    from crisp_core.segmentation.networks import load_network
    from crisp_core.segmentation.shipped import network_file

    torch.set_num_threads(1)
    found: dict[tuple[str, str], float] = {}
    for layout in ("contiguous_format", "channels_last"):
        network = load_network(network_file("general")).network.to(memory_format=getattr(torch, layout))
        for n, side in ((1, 256), (1, 384), (4, 384), (1, 512), (2, 512), (1, 1024)):
            tiles = torch.randn(n, 1, side, side).contiguous(memory_format=torch.channels_last)
            for _ in range(REPEATS):
                start = time.process_time()
                with torch.inference_mode():
                    network(tiles)
                seconds = (time.process_time() - start) / tiles.numel() * 1e6
                key = (f"{n} of {side}²", layout)
                found[key] = min(found.get(key, seconds), seconds)
    return pd.Series(found).unstack(sort=False).round(2)


def rule_seconds(folder: Path) -> pd.Series:
    """Processor time of every rule of a run of the workflow, from Snakemake's benchmark files."""
    files = [path for place in folder.rglob("performance") for path in sorted(place.rglob("*.tsv"))]
    rows = [pd.read_csv(path, sep="\t", na_values="-").iloc[0] for path in files]
    names = [path.parent.name if path.stem.isdigit() else path.stem for path in files]
    return pd.Series([row["cpu_time"] for row in rows], names, dtype=float).groupby(level=0).sum()


def main() -> None:
    """Run the programs and write the tables."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--count", type=int, default=24, help="number of micrographs")
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--cores", type=int, default=2)
    arguments.add_argument("--trained", type=Path, help="network.pt of an earlier run")
    arguments.add_argument("--programs", nargs="+", default=["crisp-general", "topaz", "relion-log", "skimage-log"])
    arguments.add_argument("--stages", action="store_true", help="processor time of CRISP's stages")
    given = arguments.parse_args()
    programs = {"crisp-general": crisp_general, "topaz": topaz, "relion-log": relion_log, "skimage-log": skimage_log}
    chosen = {name: programs[name] for name in given.programs}
    if given.trained:
        chosen["crisp-trained"] = crisp_trained(given.trained)
    folder, rows = given.folder.resolve(), []
    # in a process of its own, since the system counts the memory of this one to the programs that it starts
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        paths = pool.submit(make_micrographs, folder / f"micrographs-{given.count}", given.count).result()
    for number in range(1, given.rounds + 1):
        for name, program in chosen.items():
            place = folder / name
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            job, load = program(paths, place, given.cores), os.getloadavg()[0]
            rows.append({"program": name, "micrographs": given.count, "round": number, "load": load, **job._asdict()})
            pd.DataFrame(rows).to_csv(folder / "throughput.tsv", sep="\t", index=False, float_format="%.4g")
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows).groupby("program", sort=False)[[*Job._fields]].min()
    print(table.round(1).to_string())
    if given.stages:
        print("\nprocessor time of a micrograph, s\n", stage_seconds(paths[0]).to_string(), sep="")
        print("\nnetwork alone, s per million pixels\n", network_seconds().to_string(), sep="")
        for name in (name for name in chosen if name.startswith("crisp")):
            print(f"\nprocessor time of the rules, {name}, s\n", rule_seconds(folder / name).to_string(), sep="")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--skimage"]:
        pick_blobs(Path(sys.argv[2]), [Path(path) for path in sys.argv[3:]])
    else:
        main()
