"""Mistakes in settings as one line: ``<place>: <problem>; <what to do> (<meaning of the key>)``."""

import reprlib
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from typing import Any, NamedTuple, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from crisp_core.sections import Section, descriptions

# errors of `mistake`: their messages are complete
OWN_KINDS = ("unknown_key", "mistake")
LIMITS: dict[str, Callable[[Any], str]] = {
    "greater_than_equal": lambda context: f"is less than the minimum; give at least {context['ge']:g}",
    "greater_than": lambda context: f"is too small; give more than {context['gt']:g}",
    "less_than_equal": lambda context: f"is more than the maximum; give at most {context['le']:g}",
    "less_than": lambda context: f"is too large; give less than {context['lt']:g}",
    "multiple_of": lambda context: f"is not a multiple of {context['multiple_of']:g}; change it",
    "too_short": lambda context: f"has too few entries; give at least {context['min_length']}",
    "too_long": lambda context: f"has too many entries; give at most {context['max_length']}",
    "string_too_short": lambda _: "is empty; give a text",
    "finite_number": lambda _: "is not finite; give a number",
}
TYPES = {
    "bool_type": "true or false",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "mapping_type": "a mapping of keys",
}


class Place(NamedTuple):
    """Place of an error in the config: its keys, and the value there."""

    keys: tuple[str, ...]
    value: Any


def one_line(error: ValidationError, given: Any, section: type[Section], *, place: str) -> str:
    """Line for the first mistake in a section.

    Parameters
    ----------
    error : ValidationError
        Errors of all keys.
    given : mapping
        Section as the config gives it.
    section : model class
        Model that refused it.
    place : str
        Place of the section in the config, such as ``config`` or ``config, datasets/a/labels``.
    """
    errors = error.errors(include_url=False)
    first = min(errors, key=lambda each: _rank(each, given))
    found = place_of(first, given)
    meaning = None if first["type"] in OWN_KINDS else description(found.keys, section)
    tail = f" ({meaning})" if meaning else ""
    if first["type"] == "missing":
        return f"{_joined(place, found.keys[:-1])}: {found.keys[-1]} is missing; give it{tail}"
    # alternatives of one value have an error each
    same = [each for each in errors if place_of(each, given).keys == found.keys]
    return f"{_joined(place, found.keys)}: {problem(same, found.value)}{tail}"


def _joined(place: str, keys: Sequence[str]) -> str:
    return "/".join([place, *keys]) if "/" in place else f"{place}, {'/'.join(keys) or 'top level'}"


def _rank(error: ErrorDetails, settings: Any) -> tuple[bool, bool, int]:
    """Order of errors: unknown keys first, since a misspelled key is also missing; of alternatives the deepest."""
    return error["type"] != "unknown_key", error["type"] == "missing", -len(place_of(error, settings).keys)


def place_of(error: ErrorDetails, settings: Any) -> Place:
    """Keys of the config that lead to an error; pydantic's names of alternatives in between are left out."""
    keys: list[str] = []
    value = settings
    for key in error["loc"]:
        if isinstance(value, dict) and key in value and key != "[key]":
            keys, value = [*keys, str(key)], value[key]
        elif isinstance(value, list) and isinstance(key, int):
            keys, value = [*keys, str(key)], value[key]
        elif error["type"] == "missing" and key == error["loc"][-1]:
            keys, value = [*keys, str(key)], None
    # a wrong key of a mapping is a mistake of that mapping
    return Place(tuple(keys[:-1]), keys[-1]) if "[key]" in error["loc"] else Place(tuple(keys), value)


def problem(errors: Sequence[ErrorDetails], value: Any) -> str:
    """Problem and cure of one value; several errors are alternatives that all refuse it."""
    own = next((error["msg"] for error in errors if error["type"] in OWN_KINDS), None)
    if own is not None:
        return own
    shown = reprlib.repr(value)
    limit = next((error for error in errors if error["type"] in LIMITS), None)
    if limit is not None:
        return f"{shown} {LIMITS[limit['type']](limit.get('ctx', {}))}"
    if (
        isinstance(value, str)
        and any(error["type"] in ("float_type", "int_type") for error in errors)
        and _is_number(value)
    ):
        return f"{value!r} is text, not a number; write it without quotes and with a decimal point (1e-3 as 1.0e-3)"
    known = list(dict.fromkeys(alternative for error in errors for alternative in alternatives(error)))
    if known:
        return (
            f"{value!r} is not allowed; give {' or '.join([', '.join(known[:-1]), known[-1]] if known[1:] else known)}"
        )
    return f"{shown}: {errors[0]['msg']}; change it"


def _is_number(text: str) -> bool:
    """Whether a text has the form of a number."""
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def alternatives(error: ErrorDetails) -> Iterator[str]:
    """Values that would have been right, in words."""
    kind = error["type"]
    if kind in TYPES:
        yield TYPES[kind]
    elif kind == "literal_error":
        yield from error["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")


def description(keys: Sequence[str], outermost: type[Section]) -> str | None:
    """First sentence of the description of the key at a place in a section; None if it has none."""
    sections: list[type[Section]] = [outermost]
    found = None
    for key in keys:
        # the name of an entry, or the number of an item, belongs to no section
        section = next((section for section in sections if key in section.model_fields), None)
        if section is not None:
            found = descriptions(section).get(key)
            sections = [*sections_of(section.model_fields[key].annotation)]
    return found and " ".join(found.partition("\n\n")[0].split()).rstrip(".").partition(". ")[0]


def sections_of(annotation: Any) -> Iterator[type[Section]]:
    """Sections in the type of a field."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from sections_of(part)
