"""Masks of contaminants and carbon by a limit of their probability: `python benchmarks/avoided_limit.py FOLDER`.

On the 72 micrographs of the validation proteins in examples/general.yaml, whose classes are known: precision, recall
and IoU of the pixels whose probability of both classes together is above a limit. The first row is the most probable
class, as the workflow has it. docs/general-numbers.md has the result.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from general_masks import compared, ratios
from general_sets import VALIDATION_ZOOS, simulate_zoo

from crisp_core.classes import AVOIDED, channel
from crisp_core.evaluation.pixels import PixelCounts
from crisp_core.labels.pixel_classes import sample_classes
from crisp_core.segmentation.inference import predict
from crisp_core.segmentation.networks import TrainedNetwork, load_network
from crisp_core.segmentation.preparing import prepared_for
from crisp_core.segmentation.shipped import network_file

LIMITS = np.arange(0.05, 0.8, 0.05).round(2).tolist()


def counts_by_limit(trained: TrainedNetwork, folder: Path) -> Iterator[tuple[float | str, PixelCounts]]:
    """Counts of pixels of every micrograph, by the most probable class and by every limit."""
    channels = [channel(trained.facts.classes, each.name) for each in AVOIDED]
    for zoo in VALIDATION_ZOOS:
        for made in simulate_zoo(zoo, folder / "data"):
            prepared = prepared_for(trained.facts.input, made.image, made.pixel_size, made.diameter_angstrom)
            probability = predict(trained.network, prepared.image, tile_px=512, overlap_px=64)
            truth = sample_classes(made.classes, prepared.image.shape)
            wanted = np.isin(truth, [each.number for each in AVOIDED])
            yield "most probable", compared(np.isin(probability.argmax(axis=0), channels), wanted, prepared.valid)
            together = probability[channels].sum(axis=0)
            for limit in LIMITS:
                yield limit, compared(together > limit, wanted, prepared.valid)
            print(f"{zoo}, {made.name}", flush=True)


def main() -> None:
    """Write FOLDER/avoided_limit.tsv and print it."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--network", default="general", help="checkpoint, or general")
    given = arguments.parse_args()
    trained = load_network(network_file(given.network))
    counts: dict[float | str, list[PixelCounts]] = {}
    for limit, found in counts_by_limit(trained, given.folder):
        counts.setdefault(limit, []).append(found)
    table = pd.DataFrame([{"limit": limit, **ratios(found)} for limit, found in counts.items()])
    table.to_csv(given.folder / "avoided_limit.tsv", sep="\t", index=False, float_format="%.5g")
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
