"""Settings of coordinates and of the split."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from crisp_core.formats.coordinates.registry import FORMATS
from crisp_core.sections import OneOf, Paths, Positive, Section, mistake

Origin = Literal["top-left", "bottom-left"]
FormatName = Annotated[str, OneOf(("auto", *FORMATS))]


class CoordinateSettings(Section):
    """Coordinates of particles, in files of any program."""

    files: Paths
    """Glob, or list of globs and paths: one file per micrograph or one for all. It may be RELION's list of coordinate
    files (autopick.star)."""

    format: FormatName = "auto"
    """Format of the files; auto finds it by suffix and header."""

    origin: Origin
    """Row order: whether y counts from the top or the bottom of the image file. It is checked against the images."""

    scale: Positive = 1.0
    """Factor from the files' coordinates to pixels of these micrographs: 2 if the particles were picked on
    micrographs binned by 2. It is checked against the images."""

    least_score: float | None = None
    """Minimum score; null takes all coordinates. A .cbox file of crYOLO also holds boxes below crYOLO's own
    threshold."""

    subtract_origins: bool = False
    """Whether to subtract rlnOriginX/Y: true for star files of a refinement or classification (run_data.star)."""


def _part(given: Any) -> Any:
    names = isinstance(given, list) and given and all(isinstance(name, str) and name for name in given)
    if names and len(set(given)) < len(given):
        raise mistake(f"{given!r} lists a micrograph twice; remove one")
    if not names and (not isinstance(given, int) or isinstance(given, bool) or given < 0):
        raise mistake(f"{given!r} is neither a number nor a list of micrographs; give one of them")
    return given


def _last_part(given: Any) -> Any:
    return given if given == "rest" else _part(given)


Part = Annotated[Annotated[int, Field(ge=0)] | list[str], BeforeValidator(_part)]


class SplitSettings(Section):
    """Parts of the dataset: numbers of micrographs, drawn by the seed, or lists of micrographs."""

    train: Part = 16
    """Training part."""

    validation: Part = 6
    """Validation part: chooses the best epoch, the finder and the threshold."""

    test: Annotated[Annotated[int, Field(ge=0)] | list[str] | Literal["rest"], BeforeValidator(_last_part)] = "rest"
    """Test part: only scored; rest takes all other micrographs."""
