"""Export to napari: `python -m crisp_core.report.napari FILE FOLDER` writes points and labels layers.

Points are napari's CSV: index, axis-0 (y, down) and axis-1 (x), in pixels of the micrograph; the centre of the first
pixel is (0, 0), as in CRISP. Labels are TIFF images with the rows and columns of the micrograph.
"""

import argparse
import io
import sys
from collections.abc import Mapping, Sequence
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


def points_layer(xy: np.ndarray) -> bytes:
    """File of a points layer of positions (n, 2) as x, y in px of the micrograph."""
    table = pd.DataFrame({"axis-0": xy[:, 1], "axis-1": xy[:, 0]})
    return table.to_csv(index_label="index", lineterminator="\n").encode()


def labels_layer(one: MicrographCorrections) -> bytes | None:
    """File of the brushed areas of a corrected micrograph; None if nothing was brushed."""
    if not (one.junk or one.unsure):
        return None
    rows, columns = one.shape_px
    grid = Grid((rows, columns), one.pixel_size_angstrom, (rows, columns))
    labels = np.where(stroke_mask(grid, one.junk), JUNK, 0).astype(np.uint8)
    labels[stroke_mask(grid, one.unsure)] = UNSURE
    file = io.BytesIO()
    tifffile.imwrite(file, labels, compression="zlib")
    return file.getvalue()


def corrected_layers(one: MicrographCorrections, folder: Path) -> dict[Path, bytes | None]:
    """Files of the layers of a corrected micrograph: its particles, and the areas or None."""
    xy = np.concatenate([points(one.kept), points(one.added), points(one.moved, 4)[:, 2:]])
    return {
        layer_path(folder, one.micrograph, "points.csv"): points_layer(xy),
        layer_path(folder, one.micrograph, "labels.tif"): labels_layer(one),
    }


def write_layers(layers: Mapping[Path, bytes | None]) -> None:
    """Write files of layers, and none of them if another file is in the place of one: it may have been edited.

    Raises
    ------
    UserError
        Naming the file that is in the way, also where no layer is to be (None).
    """
    for path, content in layers.items():
        if path.exists() and path.read_bytes() != content:
            raise UserError(f"{path}: is there already and would be lost or wrong; remove it, or choose another folder")
    for path, content in layers.items():
        if content is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def export(source: Path, folder: Path) -> int:
    """Write the layers of a file of corrections, or of picks; return the number of micrographs.

    Raises
    ------
    UserError
        If the file is neither corrections nor picks of CRISP, or another file is in the place of a layer.
    """
    layers: dict[Path, bytes | None] = {}
    if source.suffix == ".json":
        micrographs = read_corrections(source).micrographs
        for one in micrographs:
            layers |= corrected_layers(one, folder)
        write_layers(layers)
        return len(micrographs)
    groups = read_coordinates_star(source).groupby("micrograph")
    for name, picks in groups:
        layers[layer_path(folder, str(name), "picks.csv")] = points_layer(picks[["x", "y"]].to_numpy(float))
    write_layers(layers)
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
