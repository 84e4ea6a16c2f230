"""Diameter that the general network estimates where none is given, beside the longest extent of the particle."""

from collections.abc import Iterable, Iterator
from typing import Any

from general_entries import Network
from general_sets import TestSet

from crisp_core.errors import UserError
from crisp_core.formats.images import read_micrograph
from crisp_core.paths import some_of
from crisp_core.picking.scales import MOST_MICROGRAPHS, estimate_diameter

# Longest extent in Å where it is not the diameter that scores the picks.
EXTENTS = {"empiar-10017": 181.0}
SETS_TO_ESTIMATE = ("empiar-10017", "empiar-10146", "proteins", "proteins-half-snr", "validation-proteins", "micassess")


def diameter_rows(network: Network, tests: Iterable[TestSet]) -> Iterator[dict[str, Any]]:
    """Estimate of every particle of the sets, as `particle_diameter_angstrom: auto` makes it, or why there is none.

    Parameters
    ----------
    network : Network
    tests : iterable of TestSet
        A group of a set (such as a protein) is one estimate.
    """
    for test in tests:
        for group, rows in test.micrographs.groupby("group", sort=False):
            extent = EXTENTS.get(test.name, float(rows["diameter_angstrom"].iloc[0]))
            paths, pixel_size = some_of(list(rows["path"]), MOST_MICROGRAPHS), float(rows["pixel_size"].iloc[0])
            facts = {"entry": network.name, "source": network.digest, "set": test.name, "group": group}
            facts |= {"micrographs": len(paths), "longest_angstrom": extent}
            try:
                read = ((path, read_micrograph(path, pixel_size=pixel_size)) for path in paths)
                found = estimate_diameter(read, network.trained)
            except UserError as error:
                yield facts | {"refused": str(error).removeprefix("particle_diameter_angstrom: auto is not clear, ")}
                continue
            values = dict(zip(("estimate", "low", "high"), found[:3], strict=True))
            yield facts | values | {"error_percent": 100 * (found.diameter_angstrom / extent - 1)}
