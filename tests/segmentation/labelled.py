"""Small labelled micrographs, for tests of what reads them."""

import h5py
import numpy as np

from crisp_core.formats.arrays import write_array
from crisp_core.segmentation.crops import LabelledMicrograph

PIXEL_SIZE = 7.0


def write_micrographs(folder, labels, *, seed=0):
    """Write noise that is darker where the label (height, width) is 1; the last 8 columns are not valid."""
    rng = np.random.default_rng(seed)
    images_path, labels_path = folder / "images.h5", folder / "labels.h5"
    with h5py.File(images_path, "w") as images, h5py.File(labels_path, "w") as label_file:
        for name, label in labels.items():
            valid = np.ones(label.shape, bool)
            valid[:, -8:] = False
            image = (rng.normal(size=label.shape) * 0.5 - 2.0 * (label == 1)).astype(np.float32)
            grid = {"pixel_size": PIXEL_SIZE, "full_shape": label.shape}
            write_array(images, "image", name, image, **grid)
            write_array(images, "valid", name, valid, **grid)
            write_array(label_file, "label", name, label, **grid)
    return [LabelledMicrograph(name, str(images_path), str(labels_path)) for name in labels]


def discs(shape, centers, radius):
    """Label of discs at rows and columns, in pixels."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    label = np.zeros(shape, np.uint8)
    for cy, cx in centers:
        label |= (np.hypot(y - cy, x - cx) < radius).astype(np.uint8)
    return label


def disc_micrographs(folder):
    """Three micrographs, a to c, of 64 × 80 px with six discs each."""
    rng = np.random.default_rng(0)
    return write_micrographs(folder, {name: discs((64, 80), rng.uniform(8, 56, (6, 2)), 6) for name in "abc"})
