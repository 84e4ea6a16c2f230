"""Command line: `python -m crisp_core.segmentation.shipped add NETWORK.pt --name general --centers centers.yaml`."""

import argparse
import sys
from pathlib import Path

from crisp_core.errors import UserError
from crisp_core.segmentation.shipped.installing import TOLERANCE, add_network


def main() -> None:
    """Install a trained network among those that come with CRISP."""
    parser = argparse.ArgumentParser(prog="python -m crisp_core.segmentation.shipped", description=main.__doc__)
    commands = parser.add_subparsers(required=True)
    add = commands.add_parser("add", help="install a trained network with its finder and threshold")
    add.add_argument("network", type=Path, help="checkpoint of a training (.pt)")
    add.add_argument("--name", required=True, help="name by which an experiment names it")
    add.add_argument("--centers", type=Path, required=True, help="centers.yaml of its run on the validation proteins")
    add.add_argument("--pixels-per-diameter", type=float, help="width of a particle in px, if not that of the training")
    add.add_argument("--images", type=Path, nargs="*", default=[], help="batch files on which to check half precision")
    given = parser.parse_args()
    try:
        done = add_network(
            given.network,
            name=given.name,
            centers=given.centers,
            pixels_per_diameter=given.pixels_per_diameter,
            images=given.images,
        )
    except UserError as error:
        sys.exit(f"error: {error}")
    kept = "within" if done.is_half else "more than"
    precision = "half" if done.is_half else "single"
    print(f"{done.path}: {done.path.stat().st_size / 1e6:.1f} MB in {precision} precision")
    print(f"half precision changes a probability by up to {done.difference:.2g}, {kept} {TOLERANCE:g}")


if __name__ == "__main__":
    main()
