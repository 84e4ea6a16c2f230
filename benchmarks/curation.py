"""Verdicts on the MicAssess micrographs: `python benchmarks/curation.py FOLDER --network general`.

18 micrographs of six classes by eye, without pixel sizes: 10 Å/px and 150 Å are assumed, as in benchmarks/general.py.
Good (classes 0 and 1) against bad (2 to 5): a verdict of bad is bad; good and doubtful are good, as with
`exclude: [bad]`. The kind of a bad micrograph is right if `kind` of curation.tsv is one of those in KINDS.
FOLDER/curation.tsv has all measures. Real data: ../shared/data or $CRISP_TEST_DATA.
"""

import argparse
from pathlib import Path

import pandas as pd
from general_entries import Network, digest_of
from general_sets import DATA, MICASSESS_DIAMETER_ANGSTROM, MICASSESS_PIXEL_SIZE

from crisp_core.classes import PARTICLE
from crisp_core.evaluation.curation import BAD, add_verdicts, measure_micrograph
from crisp_core.evaluation.settings import CurationSettings
from crisp_core.formats.arrays import Grid
from crisp_core.formats.images import read_micrograph
from crisp_core.pipeline import pick_micrograph
from crisp_core.segmentation.networks import load_network
from crisp_core.segmentation.shipped import network_file, shipped_centers

# kinds of curation.tsv that fit the classes of MicAssess, by the first digit of their folders
KINDS = {
    "2": ("contaminated", "carbon", "drift", "aggregated"),
    "3": ("no ice",),
    "4": ("crystalline ice",),
    "5": ("no particles",),
}


def measured(path: Path, network: Network) -> dict[str, object]:
    """Measures of one micrograph, as rule measure_micrographs has them."""
    image = read_micrograph(path, pixel_size=MICASSESS_PIXEL_SIZE).image
    found = pick_micrograph(
        image,
        MICASSESS_PIXEL_SIZE,
        network.trained,
        diameter_angstrom=MICASSESS_DIAMETER_ANGSTROM,
        threshold=network.threshold,
        finder=network.finder,
    )
    label = PARTICLE * (found.probability >= 0.5) if found.classes is None else found.classes
    measures = measure_micrograph(
        *(found.prepared.image, found.prepared.valid, label),
        found.picks,
        classes=network.trained.facts.classes,
        grid=Grid(found.probability.shape, found.prepared.pixel_size, image.shape),
        diameter_angstrom=MICASSESS_DIAMETER_ANGSTROM,
    )
    return {"micrograph": path.stem, "class": path.parent.name, **measures}


def main() -> None:
    """Measure, judge and count."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--network", default="general", help="checkpoint, or general")
    arguments.add_argument("--centers", type=Path, help="centers.yaml: finder and threshold; general's by default")
    arguments.add_argument("--data", type=Path, default=DATA / "micassess", help="folder with a folder per class")
    given = arguments.parse_args()
    import torch
    import yaml

    torch.set_num_threads(1)
    centers = yaml.safe_load((given.centers or shipped_centers("general")).read_text())
    path = Path(network_file(given.network))
    digest = digest_of(path, centers["finder"])
    network = Network("CRISP", digest, load_network(path), centers["finder"], centers["threshold"], False)
    rows = [measured(path, network) for path in sorted(given.data.rglob("*.png"))]
    table = add_verdicts(pd.DataFrame(rows), CurationSettings())
    digit = table["class"].str[0]
    table["right"] = (table["verdict"] == BAD) == digit.isin(list(KINDS))
    table["kind_right"] = [kind in KINDS.get(each, ()) for kind, each in zip(table["kind"], digit, strict=True)]
    given.folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.folder / "curation.tsv", sep="\t", index=False, float_format="%.4g")
    bad = digit.isin(list(KINDS))
    print(table[["class", "micrograph", "verdict", "kind", "reason"]].to_string(index=False, max_colwidth=70))
    print(f"good or bad: {table['right'].sum()} of {len(table)} right")
    print(f"kind of bad: {table.loc[bad, 'kind_right'].sum()} of {bad.sum()} right")


if __name__ == "__main__":
    main()
