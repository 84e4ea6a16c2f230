"""A run without a config file: the command line gives the micrographs and the particle's diameter.

`snakemake --cores 8 --config micrographs='data/*.mrc' diameter_angstrom=150` becomes the config of one dataset and of
one experiment, which picks with the general network.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from crisp_core.datasets.byproducts import find_byproducts
from crisp_core.datasets.pixel_sizes import equal_pixel_sizes, stated_pixel_size
from crisp_core.errors import UserError
from crisp_core.mistakes import one_line
from crisp_core.paths import check_patterns, exact_paths, matching_files
from crisp_core.sections import Paths, PixelSize, Section, mistake
from crisp_core.segmentation.shipped import DEFAULT_NETWORK
from crisp_core.settings.inheritance import merged

DATASET, EXPERIMENT = "micrographs", "general"
# Å/px; a header with another value is wrong, or in nm
PLAUSIBLE_PIXEL_SIZES = (0.2, 20.0)
# a diameter to be estimated, and a valid number in its place until then
AUTO, STAND_IN = "auto", 1.0
CURE = "give it on the command line in Å/px, such as pixel_size=1.5 (crisp: --pixel-size 1.5)"


def _diameter(given: Any) -> Any:
    if given == AUTO:
        # settings.unknown_diameters puts a number in its place
        return STAND_IN
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise mistake(f"{given!r} is not a number; give the longest extent of the particle in Å, such as 150")
    return given


class CommandLine(Section):
    """Keys of the command line that describe a run without a config file."""

    micrographs: Paths
    """Glob, or list of globs and paths, of MRC, TIFF, PNG or JPG files."""

    diameter_angstrom: Annotated[float, Field(gt=0), BeforeValidator(_diameter)]
    """Longest extent of the particle in Å, such as diameter_angstrom=150; auto estimates it."""

    pixel_size: PixelSize | None = None
    """Pixel size of the micrographs in Å/px; null takes that of the files' headers."""


KEYS = tuple(CommandLine.model_fields)


def describes_run(given: Mapping[str, Any]) -> bool:
    """Whether a config has one of the keys that describe a run without a config file."""
    return not given.keys().isdisjoint(KEYS)


def with_command_line(given: dict[str, Any], *, is_main: bool = True) -> dict[str, Any]:
    """Config in which the keys of `CommandLine` have become a dataset and an experiment; other configs as they are.

    Other keys are merged over these entries, so that a config file without `run` can change some of their settings.

    Parameters
    ----------
    given : dict
        Config of Snakemake, not yet validated.
    is_main : bool
        Whether all headers are compared; a job's own process takes the first that states a pixel size.

    Raises
    ------
    UserError
        If a key is missing or wrong, the pixel size is unknown, or the config describes another run too.
    """
    if not describes_run(given):
        return given
    keys = [key for key in KEYS if key in given]
    if "run" in given:
        raise UserError(
            f"config: {', '.join(keys)} on the command line describe a run, and run in the config file another one; "
            "remove these keys or run"
        )
    try:
        own = CommandLine.model_validate({key: given[key] for key in keys})
    except ValidationError as error:
        raise UserError(one_line(error, given, CommandLine, place="config")) from error
    watch = given.get("watch") is not None
    pixel_size = own.pixel_size or pixel_size_of(own.micrographs, may_arrive=watch, is_main=is_main)
    rest = {key: value for key, value in given.items() if key not in KEYS}
    described = run_config(own, pixel_size)
    if given["diameter_angstrom"] == AUTO:
        described["datasets"][DATASET]["particle_diameter_angstrom"] = AUTO
    if names_trained(rest):
        # it has a network of its own
        del described["experiments"][EXPERIMENT]["network"]
    config: dict[str, Any] = merged(described, rest)
    return config


def names_trained(given: Mapping[str, Any]) -> bool:
    """Whether a config file gives the experiment the network of a finished one (`trained`)."""
    experiments = given.get("experiments")
    own = experiments.get(EXPERIMENT) if isinstance(experiments, dict) else None
    return isinstance(own, dict) and own.get("trained") is not None


def run_config(own: CommandLine, pixel_size: float) -> dict[str, Any]:
    """Config of the run that the command line describes, with the pixel size in Å/px."""
    return {
        "run": [f"{DATASET}/{EXPERIMENT}"],
        "datasets": {
            DATASET: {
                "micrographs": own.micrographs,
                "pixel_size": pixel_size,
                "particle_diameter_angstrom": own.diameter_angstrom,
            }
        },
        "experiments": {EXPERIMENT: {"network": DEFAULT_NETWORK, "particles": {"extract": False}}},
    }


def pixel_size_of(patterns: str | list[str], *, may_arrive: bool = False, is_main: bool = True) -> float:
    """Pixel size (Å/px) on which the headers of the micrographs agree.

    Parameters
    ----------
    patterns : str or list of str
        Glob or path, or a list of them; by-products are left out as later.
    may_arrive : bool
        Whether files are still being written.
    is_main : bool
        As in `with_command_line`.

    Raises
    ------
    UserError
        If no header states one, if two differ, or if it is implausible.
    """
    check_patterns("config, micrographs", patterns, must_exist=False, may_arrive=may_arrive)
    paths = matching_files(patterns)
    gone = find_byproducts(paths, exact=exact_paths(patterns))
    sizes = ((path, stated_pixel_size(path)) for path in paths if path not in gone)
    stated = ((path, size) for path, size in sizes if size is not None)
    first = next(stated, None)
    if first is None:
        # a path without a file states nothing either
        check_patterns("config, micrographs", patterns, must_exist=True, may_arrive=may_arrive)
        example = f" ({paths[0]}, …)" if paths else ""
        raise UserError(f"config, pixel_size: no header of the micrographs{example} states it; {CURE}")
    if is_main:
        check_agreement(first, stated)
    path, size = first
    if not PLAUSIBLE_PIXEL_SIZES[0] <= size <= PLAUSIBLE_PIXEL_SIZES[1]:
        raise UserError(f"config, pixel_size: the header of {path} states {size:g} Å/px, which is implausible; {CURE}")
    # the same for every file, whatever the rounding of its header
    return round(size, 4)


def check_agreement(first: tuple[str, float], others: Iterable[tuple[str, float]]) -> None:
    """Refuse headers that state other pixel sizes than the first; each is a path with Å/px."""
    for path, size in others:
        if not equal_pixel_sizes(size, first[1]):
            raise UserError(
                f"config, pixel_size: the header of {first[0]} states {first[1]:g} Å/px and that of {path} {size:g}; "
                f"pick them in two runs, or {CURE}"
            )
