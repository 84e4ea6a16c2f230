"""Diameters from outlines against the longest extents of particles: `python benchmarks/sizes.py FOLDER`.

Picks are those of the general network above its own threshold. The factor from the long axes to the extent is chosen on
every other simulated protein, and checked on the rest, at half of the signal-to-noise ratio, and on the real sets.
FOLDER/sizes.md has the table; docs/sizes.md explains it.
"""

import argparse
from pathlib import Path

import pandas as pd
from cleaning import seen_micrographs
from general import networks_of
from general_sets import SETS
from general_tables import markdown

from crisp_core.picking.sizes import EXTENTS_PER_OUTLINE, estimate_size

TESTS = ("proteins", "proteins-half-snr", "empiar-10017", "empiar-10146")


def main() -> None:
    """Measure all sets, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", choices=TESTS, default=TESTS)
    given = parser.parse_args()
    folder: Path = given.folder
    (network,) = networks_of(argparse.Namespace(network=["general"], centers=None, turns=False))
    rows = []
    for name in given.sets:
        test = SETS[name](folder)
        picks = pd.concat([one.picks for one in seen_micrographs(test, network, folder)])
        micrographs = test.micrographs.assign(group=test.micrographs["group"] if "proteins" in name else name)
        for group, own in micrographs.groupby("group"):
            found, extent = picks[picks["micrograph"].isin(own["micrograph"])], own["diameter_angstrom"].iloc[0]
            estimate = estimate_size(found)
            ratio = estimate.diameter_angstrom / extent
            shares = {"outline / extent": ratio, "estimate / extent": EXTENTS_PER_OUTLINE * ratio}
            rows.append({"set": name, "particle": group, "extent": extent, **shares, "n_picks": len(found)})
    table = pd.DataFrame(rows)
    table.to_csv(folder / "sizes.tsv", sep="\t", index=False, float_format="%.4g")
    (folder / "sizes.md").write_text(markdown(rows, {key: key for key in rows[0]}) + "\n")


if __name__ == "__main__":
    main()
