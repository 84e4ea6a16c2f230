"""Settings of coordinates, of corrections and of the split."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from crisp_core.formats.coordinates.registry import FORMATS
from crisp_core.sections import Count, Entry, OneOf, Paths, Positive, Section, UserPath, mistake

Origin = Literal["top-left", "bottom-left"]
FormatName = Annotated[str, OneOf(("auto", *FORMATS))]


class PublicSource(Entry):
    """Dataset of CryoPPP or EMPIAR; `settings.public_data` puts files and values in place of these keys."""

    gives_required: ClassVar = ("extend", "cryoppp", "empiar")

    cryoppp: int | UserPath | None = None
    """Number of an EMPIAR entry in CryoPPP, or its folder: gives micrographs, coordinates, optics and diameter;
    docs/public-data.md.

    Examples
    --------
        - 10017
        - /data/cryoppp/10017
    """

    empiar: int | str | None = None
    """Number of an EMPIAR entry, or one of its directories: gives micrographs and pixel size. With cryoppp, the
    coordinates are those of CryoPPP; docs/public-data.md.

    Examples
    --------
        - 10017
        - 10028/data/Micrographs/Micrographs_part1
    """

    micrographs_count: Count | None = None
    """Number of micrographs of cryoppp or empiar, the first by name; null takes all."""


class CoordinateSettings(Section):
    """Coordinates of particles, in files of any program."""

    files: Paths
    """Glob, or list of globs and paths: one file per micrograph, or one for all. RELION's list of coordinate files
    (autopick.star) is allowed too.

    Examples
    --------
        - picks/*.box
        - run_data.star
        - [first/*.csv, second/*.csv]
    """

    format: FormatName = "auto"
    """Format of the files; auto finds it by suffix and header."""

    origin: Origin
    """Row order: whether y counts from the top or the bottom of the image file. It is checked against the images."""

    scale: Positive = 1.0
    """Factor by which the coordinates in the files are multiplied: 2 if the particles were picked on micrographs binned
    by 2. It is checked against the images."""

    least_score: float | None = None
    """Minimum score; null takes all coordinates. A .cbox file of crYOLO also contains boxes below crYOLO's own
    threshold.

    Examples
    --------
        - 0.3
    """

    subtract_origins: bool = False
    """Whether to subtract rlnOriginX/Y from the coordinates: true for star files of a refinement or classification
    (run_data.star)."""


class FilesOrSection:
    """Path or glob, or a list of them, in place of a section with no other key than `files`."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Tell editors the short form too."""
        texts = {"anyOf": [{"type": "string"}, {"items": {"type": "string"}, "type": "array"}]}
        return {"anyOf": [*texts["anyOf"], handler(schema)]}


class CorrectionSettings(Section):
    """Corrections of CRISP's picks by a person, saved by the report page; docs/corrections.md."""

    files: Paths
    """Glob, or list of globs and paths, of corrections.json files. Of one author and micrograph, the latest counts.

    Examples
    --------
        - corrections.json
        - corrections/*.json
    """

    trust: Literal["reviewed", "all", "none"] = "reviewed"
    """Micrographs whose unchanged area counts in training and in scores: reviewed takes those that a person marked as
    reviewed, all takes all corrected ones, none takes none. Of the other micrographs, only brushed junk and the
    surroundings of changes count, and only in training."""

    weight: Annotated[int, Field(ge=1, le=15)] = 4
    """Number of times that a pixel of an added, removed or moved particle counts in the loss."""


def _with_key(given: Any) -> Any:
    return {"files": given} if isinstance(given, str | list) else given


CorrectionChoice = Annotated[CorrectionSettings, BeforeValidator(_with_key), FilesOrSection()]


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
    """Training, validation and test part: numbers of micrographs drawn with the seed, or lists of micrograph names."""

    train: Part = 16
    """Training part.

    Examples
    --------
        - 6
        - [mic_001, mic_004]
    """

    validation: Part = 6
    """Validation part, on which the best epoch, the finder and the threshold are chosen.

    Examples
    --------
        - 2
        - [mic_002]
    """

    test: Annotated[Annotated[int, Field(ge=0)] | list[str] | Literal["rest"], BeforeValidator(_last_part)] = "rest"
    """Test part, which is only scored; rest takes all other micrographs with coordinates.

    Examples
    --------
        - rest
        - 4
        - [mic_003, mic_005]
    """
