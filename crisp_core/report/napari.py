"""Export to napari: `python -m crisp_core.report.napari FILE FOLDER` writes points and labels layers.

Points are napari's CSV: index, axis-0 (y, down) and axis-1 (x), in pixels of the micrograph; the centre of the first
pixel is (0, 0), as in CRISP. Labels are TIFF images with the rows and columns of the micrograph.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from crisp_core.errors import UserError
from crisp_core.formats.arrays import Grid
from crisp_core.formats.corrections import MicrographCorrections, points, read_corrections
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.labels.corrections import stroke_mask

# numbers in a labels layer; unsure areas are over junk, as in training
JUNK, UNSURE = 1, 2


def layer_path(folder: Path, micrograph: str, ending: str) -> Path:
    """File of a layer in a folder.

    Parameters
    ----------
    folder : Path
        Folder of all layers.
    micrograph : str
        Name of the micrograph.
    ending : str
        Kind of the layer and suffix of the file.

    Raises
    ------
    UserError
        If the name would lead out of the folder.
    """
    if Path(micrograph).name != micrograph:
        raise UserError(f"{micrograph}: is not the name of a micrograph, but a path; correct it in the file")
    return folder / f"{micrograph}.{ending}"


def write_points(path: Path, xy: np.ndarray) -> None:
    """Write a points layer of positions (n, 2) as x, y in px of the micrograph."""
    table = pd.DataFrame({"axis-0": xy[:, 1], "axis-1": xy[:, 0]})
    table.to_csv(path, index_label="index", lineterminator="\n")


def export_corrected(one: MicrographCorrections, folder: Path) -> None:
    """Write the particles and, if something was brushed, the areas of a corrected micrograph."""
    xy = np.concatenate([points(one.kept), points(one.added), points(one.moved, 4)[:, 2:]])
    write_points(layer_path(folder, one.micrograph, "points.csv"), xy)
    if one.junk or one.unsure:
        rows, columns = one.shape_px
        grid = Grid((rows, columns), one.pixel_size_angstrom, (rows, columns))
        labels = np.where(stroke_mask(grid, one.junk), JUNK, 0).astype(np.uint8)
        labels[stroke_mask(grid, one.unsure)] = UNSURE
        tifffile.imwrite(layer_path(folder, one.micrograph, "labels.tif"), labels, compression="zlib")


def export(source: Path, folder: Path) -> int:
    """Write the layers of a file of corrections, or of picks; return the number of micrographs.

    Raises
    ------
    UserError
        If the file is neither corrections nor picks of CRISP.
    """
    if source.suffix == ".json":
        micrographs = read_corrections(source).micrographs
        folder.mkdir(parents=True, exist_ok=True)
        for one in micrographs:
            export_corrected(one, folder)
        return len(micrographs)
    groups = read_coordinates_star(source).groupby("micrograph")
    folder.mkdir(parents=True, exist_ok=True)
    for name, picks in groups:
        write_points(layer_path(folder, str(name), "picks.csv"), picks[["x", "y"]].to_numpy(float))
    return len(groups)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write layers for napari from corrections.json or a star file of picks (results/…/picks/0000.star)."""
    parser = argparse.ArgumentParser(prog="python -m crisp_core.report.napari", description=main.__doc__)
    parser.add_argument("file", type=Path, help="corrections.json, or a star file of picks")
    parser.add_argument("folder", type=Path, help="folder to write to")
    given = parser.parse_args(arguments)
    try:
        n = export(given.file, given.folder)
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {given.folder}: cannot be written ({error.strerror}); choose another folder")
    print(f"{given.folder}: layers of {n} micrographs")


if __name__ == "__main__":
    main()
