"""Base of the config's sections: strict types, bounds, each default once.

The model of a section lives with its stage (`crisp_core/<stage>/settings.py`), so that the functions of the stage take
it. Each key is a field with its type, bounds and default. The text below a field is its description in the JSON schema
and on the page of the config. Below a heading "Examples" it has a YAML list of values to copy. These texts are
docstrings, so that rewording one reruns no rule.
"""

import ast
import inspect
import re
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from crisp_core.paths import with_home


class Described(BaseModel):
    """Model whose JSON schema has the texts below its fields.

    Pydantic's `use_attribute_docstrings` would read them at the start of every process, which takes it half a second.
    """

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Schema with the descriptions of the fields."""
        found = handler(schema)
        properties = handler.resolve_ref_schema(found).get("properties", {})
        for key, text in descriptions(cls).items():
            if key in properties:
                properties[key]["description"] = text
        return found


class Section(Described):
    """Section of the config: no unknown keys, no conversion of text to numbers, no change after validation."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        """Name the known keys where one is unknown."""
        unknown = [key for key in given if key not in cls.model_fields] if isinstance(given, Mapping) else []
        if unknown:
            raise mistake(
                f"unknown key {', '.join(sorted(map(repr, unknown)))}; known are {', '.join(sorted(cls.model_fields))}",
                kind="unknown_key",
            )
        return given

    def plain(self, *keys: str, without: Collection[str] = ()) -> dict[str, Any]:
        """Section as YAML and Snakemake hold it: mappings, lists, numbers and texts.

        Parameters
        ----------
        *keys : str
            Keys to take; all by default.
        without : collection of str
            Keys to leave out.
        """
        return self.model_dump(mode="json", include=set(keys) or None, exclude=set(without))

    def changed(self, **values: Any) -> Self:
        """Section with other values, validated like those of a config."""
        return type(self).model_validate({**dict(self), **values})

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Section of a mapping that was validated before, such as a parameter of a rule."""
        return cls.model_validate(dict(plain))


class Entry(Section):
    """Entry of a mapping by name, which inherits the keys that it does not give from the entry that it extends."""

    gives_required: ClassVar[tuple[str, ...]] = ("extend",)
    """Keys that stand for the required ones."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Let editors require keys only of an entry that does not take them from elsewhere, such as another entry."""
        found = handler.resolve_ref_schema(super().__get_pydantic_json_schema__(schema, handler))
        required = found.pop("required", None)
        if required:
            found["anyOf"] = [{"required": keys} for keys in (*([key] for key in cls.gives_required), required)]
        return found


def descriptions(section: type[Described]) -> dict[str, str]:
    """Descriptions of the fields of a model: of `Field`, or else the text below the field, here or in a base class."""
    texts: dict[str, str] = {}
    for model in reversed(section.__mro__):
        if issubclass(model, Described):
            texts |= _texts_below_fields(model)
    own = {key: field.description for key, field in section.model_fields.items()}
    return {key: found for key, text in own.items() if (found := text or texts.get(key))}


@cache
def _texts_below_fields(model: type) -> dict[str, str]:
    """Texts below the fields in the source of a class; none where there is no source, or another than was loaded."""
    try:
        source = inspect.getsource(model)
        definition = ast.parse(source if source.startswith(("class", "@")) else f"if 1:\n{source}")
    except (OSError, TypeError, SyntaxError, ValueError):
        return {}
    bodies = [node.body for node in ast.walk(definition) if isinstance(node, ast.ClassDef)]
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(bodies[0] if bodies else ())
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def mistake(message: str, *, kind: str = "mistake") -> PydanticCustomError:
    """Error of a value with its whole message, ``<problem>; <what to do>``."""
    return PydanticCustomError(kind, "{message}", {"message": message})


def _unique(values: list[Hashable]) -> list[Hashable]:
    repeated = [value for i, value in enumerate(values) if value in values[:i]]
    if repeated:
        raise mistake(f"{repeated[0]!r} is listed twice; remove one")
    return values


def _paths(given: Any) -> Any:
    texts = given if isinstance(given, list) else [given]
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise mistake(f"{given!r} is not a path; give a path or glob, or a list of them")
    return with_home(given)


@dataclass(frozen=True)
class OneOf:
    """Names that a registry or a library gives, as the allowed values of a field."""

    names: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        """Schema of a choice between the names."""
        return core_schema.literal_schema(list(self.names))


@dataclass(frozen=True)
class Matching:
    """Regular expression that a text matches from its beginning to its end, and the rest of the message if not."""

    pattern: str
    problem: str

    def __get_pydantic_core_schema__(self, source: object, handler: Callable[[object], CoreSchema]) -> CoreSchema:
        """Schema of a text with this form."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Tell editors the regular expression."""
        return {**handler(schema), "pattern": f"^{self.pattern}$"}

    def check(self, text: str) -> str:
        """Refuse a text of another form."""
        if not re.fullmatch(self.pattern, text):
            raise mistake(f"{text!r} {self.problem}")
        return text


def _rising(bounds: list[float]) -> list[float]:
    low, high = bounds
    if low > high:
        raise mistake(f"the minimum, {low:g}, is more than the maximum, {high:g}; swap them")
    return bounds


UNIQUE = AfterValidator(_unique)
NAME = "[A-Za-z0-9_-]+"
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
# Å/px; no micrograph has finer pixels, so that a size in nm is noticed
PixelSize = Annotated[float, Field(ge=0.05)]
# minimum and maximum
TWO, RISING = Field(min_length=2, max_length=2), AfterValidator(_rising)
CountBounds = Annotated[list[Natural], TWO, RISING]
PositiveBounds = Annotated[list[Positive], TWO, RISING]
AmountBounds = Annotated[list[NonNegative], TWO, RISING]
ShareBounds = Annotated[list[Share], TWO, RISING]
Name = Annotated[str, Matching(NAME, "is not a name; use letters, digits, _ and -")]
Names = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1), UNIQUE]
# `~` is the user's home folder
UserPath = Annotated[str, Field(min_length=1), AfterValidator(with_home)]
Paths = Annotated[str | list[str], BeforeValidator(_paths)]
PointGroup = Annotated[
    str, Matching("([CcDd][1-9][0-9]*|[OoTt]|[Ii][1-4]?)", "is not a point group; give one such as C1, D2, T, O or I1")
]
