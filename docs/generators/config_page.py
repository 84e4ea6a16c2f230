"""The page of the config: every key with its type, default and meaning."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

INTRODUCTION = """# Config

This page lists every key of the config. A wrong key, type or combination ends the run before any job, with one line
that names the key and the cure. The name of a length contains its unit. Relative paths start from the folder in which
you call Snakemake; `~` is your home folder.
"""


def config_page(root: Path) -> str:
    """The keys of the schema, a table per section."""
    schema = yaml.safe_load((root / "rules/schemas/config.schema.yaml").read_text())
    sections = {"Top level": schema} | {name: part for name, part in schema["$defs"].items() if "properties" in part}
    return "\n".join([INTRODUCTION, *(section(name, part) for name, part in sections.items())])


def section(name: str, part: dict[str, Any]) -> str:
    """Heading, description and table of one section."""
    rows = [
        f"| `{key}` | {kind(value)} | {default(value)} | {text(value.get('description', ''))} |"
        for key, value in part["properties"].items()
    ]
    return "\n".join(
        [
            f"## {name}\n",
            f"{part.get('description', '')}\n",
            "| key | type | default | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def kind(value: dict[str, Any]) -> str:
    """Type of a value in words."""
    return text(", ".join(dict.fromkeys(kinds(value)))) or "–"


def kinds(value: dict[str, Any]) -> Iterator[str]:
    """Types of a value, names of the sections that it refers to included."""
    if "enum" in value:
        yield " or ".join(f"`{choice}`" for choice in value["enum"])
    elif "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        yield name.replace("_", " ")
    elif "type" in value:
        yield from [value["type"]] if isinstance(value["type"], str) else value["type"]
    for part in value.get("oneOf", []) + value.get("anyOf", []):
        yield from kinds(part)


def default(value: dict[str, Any]) -> str:
    """Default as YAML writes it in one line."""
    if "default" not in value:
        return "–"
    written = yaml.safe_dump(value["default"], default_flow_style=True, width=1000).replace("\n...", "").strip()
    return f"`{text(written)}`"


def text(words: str) -> str:
    """Words in a cell of a table."""
    return " ".join(str(words).split()).replace("|", "\\|")
