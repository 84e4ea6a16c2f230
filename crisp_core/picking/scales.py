"""Picks of a network at several scales, for the diameter of an unknown particle (see `diameter`).

`python -m crisp_core.picking.scales MICROGRAPH ... --pixel-size 1.77` prints an estimate.
"""

import argparse
import logging
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from crisp_core.classes import CLASSES, PARTICLE, channel
from crisp_core.datasets.pixel_sizes import stated_pixel_size
from crisp_core.errors import UserError
from crisp_core.formats.images import Micrograph, read_micrograph
from crisp_core.formats.mrc import MRC_SUFFIXES
from crisp_core.geometry import angstrom_to_px, middle_window
from crisp_core.paths import check_patterns, matching_files, some_of
from crisp_core.picking.diameter import DIAMETERS_ANGSTROM, DiameterEstimate, choose_diameter
from crisp_core.picking.finders import DEFAULT
from crisp_core.picking.search import find_centers
from crisp_core.picking.shapes import with_shapes
from crisp_core.preparation.enlargement import too_coarse
from crisp_core.segmentation.checkpoints import training_input
from crisp_core.segmentation.inference import predict
from crisp_core.segmentation.networks import TrainedNetwork, load_network
from crisp_core.segmentation.preparing import prepared_for
from crisp_core.segmentation.shipped import DEFAULT_NETWORK, network_file

log = logging.getLogger("crisp")
# Micrographs that are looked at, and the side in working pixels of the middle that is.
MOST_MICROGRAPHS = 10
LOOK_PX = 384
THRESHOLD = 0.5
# Fewest particles that fit side by side into a micrograph.
LEAST_ACROSS = 4


def estimate_diameter(
    micrographs: Iterable[tuple[str, Micrograph]],
    network: TrainedNetwork | str | Path = DEFAULT_NETWORK,
    *,
    diameters_angstrom: Sequence[float] = DIAMETERS_ANGSTROM,
    threshold: float = THRESHOLD,
    device: str = "cpu",
) -> DiameterEstimate:
    """Estimate the particle diameter from micrographs alone.

    Parameters
    ----------
    micrographs : iterable of (name, Micrograph)
        Images with their pixel sizes, as `formats.images.read_micrograph` returns them; ten are enough. One that cannot
        be prepared is left out, which the log says.
    network : TrainedNetwork, str or Path
        Network, name of one that comes with CRISP, or path of its checkpoint.
    diameters_angstrom : sequence of float
        Assumed diameters to try, in Å; those that are too small for the pixel size are left out.
    threshold : float
        Lowest score of a pick.
    device : str
        Device of PyTorch.

    Raises
    ------
    UserError
        If the estimate is not clear, or no micrograph can be prepared.
    """
    trained = (
        network if isinstance(network, TrainedNetwork) else load_network(network_file(str(network)), device=device)
    )
    looks: dict[float, list[pd.DataFrame]] = {}
    problem = None
    for name, micrograph in micrographs:
        suitable = [diameter for diameter in diameters_angstrom if fits(micrograph, trained, diameter)]
        try:
            own = [look(micrograph, trained, diameter, threshold=threshold, device=device) for diameter in suitable]
        except UserError as error:
            problem = f"{name}: {error}"
            log.warning("left out: %s", problem)
            continue
        for diameter, picks in zip(suitable, own, strict=True):
            looks.setdefault(diameter, []).append(picks.assign(micrograph=name))
    if problem and not looks:
        raise UserError(f"no micrograph can be used; {problem}")
    return choose_diameter({diameter: pd.concat(tables, ignore_index=True) for diameter, tables in looks.items()})


def fits(micrograph: Micrograph, trained: TrainedNetwork, diameter_angstrom: float) -> bool:
    """Whether the network can look for particles of a diameter (Å) on a micrograph: neither too fine nor too large.

    Parameters
    ----------
    micrograph : Micrograph
        Image with its pixel size.
    trained : TrainedNetwork
        Network.
    diameter_angstrom : float
        Assumed particle diameter, in Å.
    """
    diameter_px = angstrom_to_px(diameter_angstrom, micrograph.pixel_size)
    wanted = diameter_angstrom / training_input(trained.facts).diameter_px
    return not too_coarse(micrograph.pixel_size, wanted) and min(micrograph.image.shape) >= LEAST_ACROSS * diameter_px


def look(
    micrograph: Micrograph, trained: TrainedNetwork, diameter_angstrom: float, *, threshold: float, device: str = "cpu"
) -> pd.DataFrame:
    """Pick the middle of a micrograph under an assumed diameter.

    Parameters
    ----------
    micrograph : Micrograph
        Image with its pixel size.
    trained : TrainedNetwork
        Network.
    diameter_angstrom : float
        Assumed particle diameter, in Å.
    threshold : float
        Lowest score of a pick.
    device : str
        Device of PyTorch.

    Returns
    -------
    DataFrame
        x_angstrom, y_angstrom (from the middle of the micrograph), score, and the columns of `sizes.SHAPE_COLUMNS`.
    """
    # at the width of its training a network is most confident (docs/sizes.md)
    facts, seen, pixel_size = trained.facts, training_input(trained.facts), micrograph.pixel_size
    side = round(LOOK_PX * diameter_angstrom / seen.diameter_px / pixel_size)
    image = micrograph.image[middle_window(micrograph.image.shape, (side, side))]
    prepared = prepared_for(seen, image, pixel_size, diameter_angstrom)
    channels = predict(trained.network, prepared.image, tile_px=LOOK_PX, overlap_px=64, device=device)
    probability = channels[channel(facts.classes, CLASSES[PARTICLE])] * prepared.valid
    sizes = {"diameter_px": angstrom_to_px(diameter_angstrom, prepared.pixel_size)}
    found = find_centers(probability, DEFAULT, threshold=threshold, **sizes)
    picks = with_shapes(found, probability, pixel_size=prepared.pixel_size, threshold=threshold, **sizes)
    height, width = probability.shape
    places = {
        "x_angstrom": (picks["x"] - width / 2) * prepared.pixel_size,
        "y_angstrom": (picks["y"] - height / 2) * prepared.pixel_size,
    }
    return picks.assign(**places)


def write_estimate(
    path: str | Path, estimate: DiameterEstimate, *, micrographs: Sequence[str], pixel_size: float | None
) -> None:
    """Write an estimate, its interval, what it was made from and the scales behind it as YAML, atomically.

    Parameters
    ----------
    path : str or Path
        File to write.
    estimate : DiameterEstimate
        Estimate.
    micrographs : sequence of str
        Files that were chosen for it.
    pixel_size : float or None
        Å/px; None if it is that of the files.
    """
    facts: dict[str, Any] = {key: round(value, 1) for key, value in estimate._asdict().items() if key != "scales"}
    facts |= {"pixel_size": pixel_size, "micrographs": list(micrographs)}
    facts["scales"] = estimate.scales.round(3).to_dict("records")
    unfinished = Path(f"{path}.tmp")
    unfinished.write_text(yaml.safe_dump(facts, sort_keys=False))
    unfinished.replace(path)


def make_room(path: str | Path) -> None:
    """Make the folder of a file that is written later, and refuse a place where that will be impossible.

    Raises
    ------
    UserError
        With the file and the reason.
    """
    probe = Path(f"{path}.tmp")
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); correct the rights of its folder") from None


def readable(paths: Sequence[str], pixel_size: float | None) -> Iterator[tuple[str, Micrograph]]:
    """Read micrographs one by one, each with its path, and say on the terminal which are read and which are left out.

    Parameters
    ----------
    paths : sequence of str
        Files.
    pixel_size : float or None
        Å/px; None takes that of the files.

    Raises
    ------
    UserError
        If none can be read, with the reason for the last.
    """
    n_read, problem = 0, None
    for number, path in enumerate(paths, 1):
        try:
            micrograph = read_micrograph(path, pixel_size=pixel_size)
            if pixel_size is None and Path(path).suffix.lower() in MRC_SUFFIXES and stated_pixel_size(path) is None:
                # 1 Å/px is what programs write that do not know it
                raise UserError(f"{path}: its header does not state the pixel size; give it with --pixel-size")
        except UserError as error:
            problem = error
            print(f"left out: {error}", file=sys.stderr, flush=True)
            continue
        n_read += 1
        print(f"read {number} of {len(paths)}, {path}", file=sys.stderr, flush=True)
        yield path, micrograph
    if not n_read:
        raise UserError(f"no micrograph can be read; {problem}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the estimate for the micrographs of the command line, and write it to a file on request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("micrographs", nargs="+", help="files or patterns; at most 10 files, evenly spaced, are read")
    parser.add_argument("--pixel-size", type=float, help="Å/px; that of the files if it is not given")
    parser.add_argument("--network", default=DEFAULT_NETWORK, help="name of a network of CRISP, or its checkpoint")
    parser.add_argument("--output", help="YAML file of the estimate")
    given = parser.parse_args(arguments)
    try:
        check_patterns("micrographs", given.micrographs, must_exist=False)
        if given.pixel_size is not None and not 0 < given.pixel_size < math.inf:
            raise UserError(f"--pixel-size: {given.pixel_size:g} is not a pixel size in Å/px; give a positive number")
        chosen = some_of(matching_files(given.micrographs), MOST_MICROGRAPHS)
        if given.output:
            # before the minutes that the estimate takes
            make_room(given.output)
        estimate = estimate_diameter(readable(chosen, given.pixel_size), given.network)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(estimate.scales.to_string(index=False, float_format="%.3g"))
    print("diameter {:.0f} Å, 95 %: {:.0f} to {:.0f} Å".format(*estimate[:3]))
    if given.output:
        write_estimate(given.output, estimate, micrographs=chosen, pixel_size=given.pixel_size)


if __name__ == "__main__":
    main()
