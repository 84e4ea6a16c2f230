"""Our particle images against RELION's own: `python benchmarks/extraction.py FOLDER [--micrographs 3]`.

Real micrographs of EMPIAR-10017 (../shared/data, or CRISP_TEST_DATA) written as MRC, the published coordinates moved by
fractions of a pixel, and more coordinates on and over the border. `relion_preprocess --extract --norm --bg_radius R
--invert_contrast` and our extractor, one after the other, each from the MRC files to stacks and star file, each on one
process. Prints differences and seconds; FOLDER keeps both sets of stacks.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.images import read_micrograph
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.relion_autopick import autopick_table
from crisp_core.formats.relion_optics import optics_table
from crisp_core.formats.relion_particles import particles_table, write_particles_star
from crisp_core.formats.star import read_blocks, write_blocks
from crisp_core.particles.extraction import extract_particles
from crisp_core.particles.stacks import write_stack

DATA = Path(os.environ.get("CRISP_TEST_DATA", Path(__file__).parents[2] / "shared/data")) / "empiar-10017"
PIXEL_SIZE, OPTICS = 1.77, {"voltage_kv": 300, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1}
# box, size after rescaling, background radius in pixels of the image written (RELION takes whole numbers)
CASES = {"as they are": (162, 162, 60), "reduced": (162, 82, 30), "enlarged": (80, 120, 45)}
N_BORDER = 60


def prepare(folder: Path, micrographs: Sequence[Path], coordinates: Path, *, box_px: int) -> pd.DataFrame:
    """Write micrographs as MRC, their list and RELION's coordinate files; return the coordinates.

    Parameters
    ----------
    folder : Path
        Directory in which RELION will run.
    micrographs : sequence of Path
        Pictures.
    coordinates : Path
        Directory of the files with the same stems.
    box_px : int
        Coordinates at the border reach out so far that a pixel of each box stays inside.
    """
    rng, tables = np.random.default_rng(0), []
    for path in micrographs:
        image, _ = read_micrograph(path, pixel_size=PIXEL_SIZE)
        write_mrc(folder / f"{path.stem}.mrc", image, pixel_size=PIXEL_SIZE, dtype=np.float32)
        table = read_coordinates(coordinates / f"{path.stem}.csv").drop(columns="diameter_px")
        table[["x", "y"]] += rng.uniform(0, 1, (len(table), 2))
        tables.append(pd.concat([table, on_the_border(image.shape, path.stem, box_px, rng)], ignore_index=True))
        tables[-1]["score"] = rng.uniform(size=len(tables[-1]))
        write_blocks(folder / f"{path.stem}_autopick.star", {"": autopick_table(tables[-1])})
    table = pd.DataFrame({"rlnMicrographName": [f"{path.stem}.mrc" for path in micrographs], "rlnOpticsGroup": 1})
    optics = optics_table(**OPTICS, micrograph_pixel_size=PIXEL_SIZE, pixel_size=PIXEL_SIZE, box_px=box_px)
    optics = optics[["rlnOpticsGroupName", "rlnOpticsGroup", "rlnVoltage", "rlnSphericalAberration"]].assign(
        rlnAmplitudeContrast=OPTICS["amplitude_contrast"], rlnMicrographPixelSize=PIXEL_SIZE
    )
    write_blocks(folder / "micrographs.star", {"optics": optics, "micrographs": table})
    return pd.concat(tables, ignore_index=True)


def on_the_border(shape: tuple[int, int], name: str, box_px: int, rng: np.random.Generator) -> pd.DataFrame:
    """Coordinates within half a box of one of the four edges, inside and outside."""
    sides = rng.uniform(1 - box_px / 2, box_px / 2 - 1, (N_BORDER, 2))
    xy = rng.uniform(0, np.array(shape)[::-1] - 1, (N_BORDER, 2))
    axis, far = rng.integers(0, 2, N_BORDER), rng.integers(0, 2, N_BORDER)
    rows = np.arange(N_BORDER)
    xy[rows, axis] = sides[rows, axis] + far * np.array(shape)[::-1][axis]
    return pd.DataFrame({"micrograph": name, "x": xy[:, 0], "y": xy[:, 1]})


def relions(folder: Path, *, box_px: int, size_px: int, bg_radius_px: int) -> None:
    """Extract with RELION into `theirs/` and `theirs.star`."""
    command = "relion_preprocess --i micrographs.star --coord_dir ./ --coord_suffix _autopick.star --part_dir theirs/"
    command += f" --part_star theirs.star --extract --extract_size {box_px} --norm --bg_radius {bg_radius_px}"
    command += " --invert_contrast" + (f" --scale {size_px}" if size_px != box_px else "")
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)


def ours(folder: Path, coordinates: pd.DataFrame, *, box_px: int, size_px: int, bg_radius_px: int) -> None:
    """Extract with `crisp_core` into `ours/` and `ours.star`."""
    (folder / "ours").mkdir(exist_ok=True)
    tables, pixel_size = [], PIXEL_SIZE * box_px / size_px
    for name, rows in coordinates.groupby("micrograph", sort=False):
        image, _ = read_micrograph(folder / f"{name}.mrc")
        xy = rows[["x", "y"]].to_numpy()
        stack = extract_particles(image, xy, box_px=box_px, rescale_px=size_px, bg_radius_px=bg_radius_px).stack
        write_stack(folder / f"ours/{name}.mrcs", [stack], size_px=size_px, pixel_size=pixel_size)
        paths = {str(name): f"{name}.mrc"}
        tables.append(particles_table(rows, stack=f"ours/{name}.mrcs", micrograph_paths=paths))
    optics = optics_table(**OPTICS, micrograph_pixel_size=PIXEL_SIZE, pixel_size=pixel_size, box_px=size_px)
    write_particles_star(folder / "ours.star", optics, pd.concat(tables, ignore_index=True))


def differences(folder: Path) -> dict[str, float]:
    """RMS difference relative to RELION's RMS: of all pixels and of the worst particle; cells that differ in the stars.

    The pixels of row i of our star are compared with those of row i of RELION's, so the order counts.
    """
    theirs, mine = (read_blocks(folder / f"{name}.star") for name in ("theirs", "ours"))
    squares = []
    for name in theirs["particles"]["rlnMicrographName"].unique():
        pair = [
            mrcfile.read(folder / side / name.replace(".mrc", ".mrcs")).astype(float) for side in ("theirs", "ours")
        ]
        squares.append([np.mean((pair[0] - pair[1]) ** 2, axis=(1, 2)), np.mean(pair[0] ** 2, axis=(1, 2))])
    difference, given = np.concatenate(squares, axis=1)
    return {
        "particles": len(given),
        "rms": float(np.sqrt(difference.sum() / given.sum())),
        "worst_rms": float(np.sqrt((difference / given).max())),
        "star_cells": sum(_differing_cells(theirs[block], mine[block]) for block in ("optics", "particles")),
    }


def _differing_cells(theirs: pd.DataFrame, mine: pd.DataFrame) -> int:
    """Cells under labels that both have: numbers to RELION's five decimals, names but for the stacks' directory."""
    count = abs(len(theirs) - len(mine))
    for label in set(theirs) & set(mine):
        pair = [table[label].astype(str).str.replace("@theirs/", "@ours/") for table in (theirs, mine)]
        if pd.api.types.is_numeric_dtype(mine[label]):
            equal = np.isclose(theirs[label].astype(float), mine[label], rtol=0, atol=1e-5)
        else:
            equal = pair[0].to_numpy() == pair[1].to_numpy()
        count += int((~equal).sum())
    return count


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds of the clock, and of the processor in this process and its children."""
    start, before = time.perf_counter(), _cpu_seconds()
    work()
    return time.perf_counter() - start, _cpu_seconds() - before


def _cpu_seconds() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--micrographs", type=int, default=3)
    given = arguments.parse_args()
    rows = []
    for name, (box_px, size_px, bg_radius_px) in CASES.items():
        folder = given.folder / name.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        pictures = sorted((DATA / "micrographs").glob("*.jpg"))[: given.micrographs]
        coordinates = prepare(folder, pictures, DATA / "coordinates", box_px=box_px)
        sizes = {"box_px": box_px, "size_px": size_px, "bg_radius_px": bg_radius_px}
        theirs = timed(lambda folder=folder, sizes=sizes: relions(folder, **sizes))
        mine = timed(lambda folder=folder, sizes=sizes, xy=coordinates: ours(folder, xy, **sizes))
        seconds = dict(zip(("relion_s", "relion_cpu_s", "our_s", "our_cpu_s"), (*theirs, *mine), strict=True))
        rows.append({"case": name} | sizes | differences(folder) | seconds)
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3g"))


if __name__ == "__main__":
    main()
