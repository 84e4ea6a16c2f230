"""Options of an entry of a registry, such as a loss or a finder: a typed model that the config chooses by name.

A registry is a dict of models by name. Each model has its name, its options with type, bounds and meaning, and the
method that does the work. The main process of Snakemake reads the models to check a config, so their modules import
torch, scikit-image, trackpy and the like within functions, and plain `scipy`, which loads its parts when they are used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from crisp_core.errors import UserError
from crisp_core.mistakes import one_line
from crisp_core.sections import Section


class Options(Section):
    """Options of an entry of a registry."""


Entry = TypeVar("Entry", bound=Options)


def by_name(*entries: type[Entry], key: Literal["name", "program"] = "name") -> dict[str, type[Entry]]:
    """Registry of models, in their order.

    Parameters
    ----------
    *entries : model classes
        Each has the field `key`, whose default is the name of the entry.
    key : str
        Field with the name.
    """
    return {entry.model_fields[key].default: entry for entry in entries}


@dataclass(frozen=True, eq=False)
class ChoiceSchema:
    """JSON schema of a choice: the name of an entry, one of `others`, or a mapping of a name and its options."""

    registry: Mapping[str, type[Options]]
    others: Sequence[str] = ()

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Make the schema when it is asked for, not in every process that reads a config."""
        models = [_nested_schema(entry) for entry in self.registry.values()]
        return {"anyOf": [{"enum": [*self.others, *self.registry]}, *models]}


def _nested_schema(entry: type[Options]) -> dict[str, Any]:
    """JSON schema of an entry's options, in which the name must be given."""
    schema = entry.model_json_schema()
    return {**schema, "required": [name for name in ("name", "program") if name in entry.model_fields]}


def chosen(
    registry: Mapping[str, type[Entry]],
    given: str | Mapping[str, Any] | Entry,
    *,
    place: str,
    key: Literal["name", "program"] = "name",
    others: Sequence[str] = (),
) -> Entry:
    """Entry that the config names, with its options.

    Parameters
    ----------
    registry : mapping of name to model class
    given : str, mapping or model
        Name of the entry, which then has its default options; or a mapping with the name under `key` and options.
    place : str
        Key of the config, for messages.
    key : str
        Key of the name in a mapping.
    others : sequence of str
        Further values that the config takes here, for messages.

    Raises
    ------
    UserError
        If the name or an option is not known, or a value is out of bounds.
    """
    if not isinstance(given, str | Mapping):
        return given
    options: dict[str, Any] = {key: given} if isinstance(given, str) else dict(given)
    name = str(options.get(key))
    if name not in registry:
        raise UserError(f"{place}: {name!r} is not known; use one of {', '.join([*others, *registry])}")
    try:
        return registry[name](**options)
    except ValidationError as error:
        raise UserError(one_line(error, options, registry[name], place=f"{place}/{name}")) from error
