"""Page of all settings in Markdown: a table of keys for each section of the config."""

import re
from collections.abc import Iterator
from typing import Any, get_origin

import yaml

from crisp_core.mistakes import sections_of
from crisp_core.sections import Section
from crisp_core.settings.config import Config
from crisp_core.settings.schema import json_schema

INTRODUCTION = """# Config

This page lists every key of the config. A wrong key, type or combination ends the run before any job, with one line
that names the key and the cure. The name of a length contains its unit. Relative paths start from the folder in which
you call Snakemake; `~` is your home folder.

Editors that know YAML language servers (VS Code with its YAML extension, for instance) complete and check the keys of a
file whose first line is `# yaml-language-server: $schema=PATH/rules/schemas/config.schema.json`.
"""
LOWER = {"minimum": "≥", "exclusiveMinimum": ">"}
UPPER = {"maximum": "≤", "exclusiveMaximum": "<"}
TYPES = {
    "number": "number",
    "integer": "whole number",
    "string": "text",
    "boolean": "`true` or `false`",
    "null": "`null`",
    "object": "mapping",
    "array": "list",
}


def config_page() -> str:
    """Page with the sections in the order of the config; a section in several places is listed once."""
    schemas = json_schema()
    schemas = {Config.__name__: schemas, **schemas["$defs"]}
    places: dict[type[Section], list[str]] = {}
    for place, section in all_sections(Config, ""):
        places.setdefault(section, []).append(place)
    names = {section.__name__: _heading(section, found) for section, found in places.items()}
    parts = [_section(section, found, schemas, names) for section, found in places.items()]
    return "\n".join([INTRODUCTION, *parts])


def all_sections(section: type[Section], place: str) -> Iterator[tuple[str, type[Section]]]:
    """All sections in a section, with their places, such as ``datasets/<name>/labels``."""
    yield place, section
    for key, field in section.model_fields.items():
        below = f"{place}/{key}".lstrip("/") + ("/<name>" if get_origin(field.annotation) is dict else "")
        for inner in sections_of(field.annotation):
            yield from all_sections(inner, below)


def _heading(section: type[Section], places: list[str]) -> str:
    program = section.model_fields.get("program")
    place = places[0] or "Top level"
    return f"{place}, program {program.default}" if program and program.default else place


def _section(section: type[Section], places: list[str], schemas: dict[str, Any], names: dict[str, str]) -> str:
    schema = schemas[section.__name__]
    also = f" The same keys are in {', '.join(f'`{place}`' for place in places[1:])}." if places[1:] else ""
    fields = section.model_fields
    rows = [
        f"| `{key}` | {_cell(kind(value, names))} | {_cell(default(value, fields[key].is_required()))} | "
        f"{_cell(meaning(value, schemas))} |"
        for key, value in schema["properties"].items()
    ]
    return "\n".join(
        [
            f"## {_escaped(names[section.__name__])} {{#{section.__name__.lower()}}}\n",
            f"{' '.join(schema.get('description', '').split())}{also}\n",
            "| key | type | default | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def kind(value: dict[str, Any], names: dict[str, str]) -> str:
    """Type of a value in words.

    Parameters
    ----------
    value : dict
        JSON schema of the value.
    names : dict of str
        Headings of the sections, by the name of their model.
    """
    return " or ".join(dict.fromkeys(_kinds(value, names)))


def _kinds(value: dict[str, Any], names: dict[str, str]) -> Iterator[str]:
    alternatives = value.get("anyOf", value.get("oneOf", []))
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        yield f"[{_escaped(names[name])}](#{name.lower()})"
    elif "enum" in value or "const" in value:
        yield ", ".join(f"`{choice}`" for choice in value.get("enum", [value.get("const")]))
    elif alternatives:
        for alternative in alternatives:
            yield from _kinds(alternative, names)
    elif value.get("type") == "array":
        many = "pair of" if value.get("maxItems") == 2 == value.get("minItems") else "list of"
        items = re.sub("^(whole number|number|text)", r"\1s", kind(value.get("items", {}), names))
        yield f"{many} {items}"
    elif isinstance(inner := value.get("additionalProperties"), dict):
        yield f"mapping of names to {kind(inner, names)}"
    elif "patternProperties" in value:
        yield f"mapping of names to {kind(next(iter(value['patternProperties'].values())), names)}"
    else:
        yield _bounded(value)


def _bounded(value: dict[str, Any]) -> str:
    bounds = [f"{sign} {value[key]:g}" for key, sign in (LOWER | UPPER).items() if key in value]
    return " ".join([TYPES.get(value.get("type", ""), "any value"), " and ".join(bounds)]).strip()


def meaning(value: dict[str, Any], schemas: dict[str, Any]) -> str:
    """Description of a key with its examples; of a section without one, the description of its model."""
    own = schemas.get(value.get("$ref", "").rpartition("/")[2], {})
    text = value.get("description", own.get("description", ""))
    examples = ", ".join(f"`{_written(example)}`" for example in value.get("examples", []))
    return f"{text} Examples: {examples}." if examples else text


def default(value: dict[str, Any], required: bool) -> str:
    """Default as YAML writes it in one line; nothing for a section, whose keys have their own."""
    if required:
        return "required"
    if "default" not in value or isinstance(value["default"], dict):
        return "–"
    return f"`{_written(value['default'])}`"


def _written(value: Any) -> str:
    """Value as YAML writes it in one line."""
    return (
        yaml.safe_dump(_short(value), default_flow_style=True, sort_keys=False, width=1000).replace("\n...", "").strip()
    )


def _short(value: Any) -> Any:
    """Value with whole numbers without their decimal point."""
    if isinstance(value, list):
        return [_short(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _escaped(words: str) -> str:
    return words.replace("<", "&lt;").replace(">", "&gt;")


def _cell(words: str) -> str:
    """Words in a cell of a table."""
    return " ".join(str(words).split()).replace("|", "\\|")
