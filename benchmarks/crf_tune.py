"""Does a CRF without training help the general network on real data? `python benchmarks/crf_tune.py [--tile-px 320]`.

Settings as of `crf: {type: tune}`: those of the CRF and of its control (smoothing and threshold) are chosen on all
micrographs but one, and count on that one. EMPIAR-10017: CASSPER's class labels, red as particle, and green, which may
be contaminant or carbon, against the sum of both classes. EMPIAR-10146: discs of 82 px at the drawn centres.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from benchmarks.clicks import APOFERRITIN_PIXEL_SIZE, APOFERRITIN_PX
from benchmarks.general_masks import GREEN, MAGENTA, RED, class_label, is_color
from benchmarks.reconstruction import DATA
from crisp_core.classes import CLASSES, IGNORED
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.images import read_micrograph
from crisp_core.geometry import rescaled_xy
from crisp_core.labels.discs import disc_label
from crisp_core.segmentation.crf.tuning import TuningSample, tune_layer
from crisp_core.segmentation.networks import TrainedNetwork, load_network
from crisp_core.segmentation.preparing import prepared_for
from crisp_core.segmentation.shipped import network_file
from crisp_core.segmentation.tuning import describe, tuning_rows, tuning_sample

PARTICLE, WASTE = 1, 2


def class_labels(trained: TrainedNetwork, tile_px: int) -> Iterator[TuningSample]:
    """Yield the micrographs of EMPIAR-10017, with the channels background, particle, contaminant or carbon."""
    for path in sorted((DATA / "empiar-10017/micrographs").glob("*.jpg")):
        micrograph = read_micrograph(path, pixel_size=1.77)
        ready = prepared_for(trained.facts.input, micrograph.image, 1.77, 191.0)
        colors = class_label(path.stem, ready.image.shape)
        label = PARTICLE * is_color(colors, [RED]) + WASTE * is_color(colors, [GREEN])
        counts = ready.valid.astype(bool) & ~is_color(colors, [MAGENTA])
        yield sample(trained, ready.image, np.where(counts, label, IGNORED), tile_px)


def apoferritin_discs(trained: TrainedNetwork, tile_px: int) -> Iterator[TuningSample]:
    """Yield the micrographs of EMPIAR-10146, where only particles are labelled."""
    diameter = APOFERRITIN_PX * APOFERRITIN_PIXEL_SIZE
    for path in sorted((DATA / "empiar-10146/micrographs").glob("*.png")):
        micrograph = read_micrograph(path, pixel_size=APOFERRITIN_PIXEL_SIZE)
        ready = prepared_for(trained.facts.input, micrograph.image, APOFERRITIN_PIXEL_SIZE, diameter)
        table = read_coordinates(DATA / "empiar-10146/coordinates" / f"{path.stem}.csv")
        xy = rescaled_xy(table[["x", "y"]].to_numpy(), micrograph.image.shape, ready.image.shape)
        label = disc_label(ready.image.shape, xy, radius_px=diameter / ready.pixel_size / 2)
        yield sample(trained, ready.image, np.where(ready.valid, label, IGNORED), tile_px)


def sample(trained: TrainedNetwork, image: np.ndarray, label: np.ndarray, tile_px: int) -> TuningSample:
    """Return the middle of a micrograph, with contaminant and carbon as one channel."""
    made = tuning_sample(trained.network, image, label.astype(np.uint8), tile_px=tile_px)
    names = list(trained.facts.classes)
    waste = made.logits[:, [names.index(name) for name in CLASSES[2:]]].logsumexp(1, keepdim=True)
    return made._replace(logits=torch.cat([made.logits[:, :2], waste], dim=1).contiguous())


def main() -> None:
    """Print the result of each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sets = {"empiar-10146": apoferritin_discs, "empiar-10017": class_labels}
    parser.add_argument("--sets", nargs="+", choices=list(sets), default=list(sets))
    parser.add_argument("--tile-px", type=int, default=320)
    given = parser.parse_args()
    torch.set_num_threads(1)
    trained = load_network(network_file("general"))
    trained.network.eval()
    for name in given.sets:
        start = time.process_time()
        tuned = tune_layer(list(sets[name](trained, given.tile_px)), diameter_px=trained.facts.input.diameter_px)
        print(
            name, describe(tuned), *tuning_rows(tuned), f"{time.process_time() - start:.0f} s", sep="\n  ", flush=True
        )


if __name__ == "__main__":
    main()
