"""The page of everything that a config chooses by name: made from the registries."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from crisp_core.classes import REGISTRY
from crisp_core.labels.thresholds import THRESHOLDS
from crisp_core.pickers import PICKERS
from crisp_core.picking.finders import FINDERS
from crisp_core.sections import descriptions
from crisp_core.segmentation.losses import LOSSES

INTRODUCTION = """# Choices by name

A name in the config chooses one of these entries. To set its options, write a mapping: `{name: tversky, alpha: 0.3}`.
"""
# title, key of the config, entries by name
REGISTRIES: list[tuple[str, str, Mapping[str, object]]] = [
    ("Losses", "training/loss", LOSSES),
    ("Finders of centers", "centers/finder", FINDERS),
    ("Other pickers", "experiments/<name>/picker/program", PICKERS),
    ("Thresholds of scikit-image", "simulation/threshold", dict.fromkeys(THRESHOLDS)),
]


def choices_page(root: Path) -> str:
    """A section for every registry."""
    return "\n".join([INTRODUCTION, *(section(*registry) for registry in REGISTRIES), classes_section()])


def classes_section() -> str:
    """Heading and table of the classes of pixels."""
    lines = [
        "## Classes of pixels\n",
        "Key `network/classes`.\n",
        "| name | number in label files | colour | scenery |",
    ]
    rows = [f"| `{each.name}` | {each.number} | {each.color} | {', '.join(each.elements)} |" for each in REGISTRY]
    return "\n".join([*lines, "|---|---|---|---|", *rows, ""])


def section(title: str, key: str, entries: Mapping[str, object]) -> str:
    """Heading and table of one registry; a list where the entries are names alone.

    Parameters
    ----------
    title : str
        Heading.
    key : str
        Key of the config that chooses an entry.
    entries : mapping
        Models with their options, functions, or None, by name.
    """
    lines = [f"## {title}\n", f"Key `{key}`.\n"]
    if not any(entries.values()):
        return "\n".join([*lines, ", ".join(f"`{name}`" for name in entries) + ".\n"])
    rows = [f"| `{name}` | {first_line(entry)} | {options(entry)} |" for name, entry in entries.items()]
    return "\n".join([*lines, "| name | meaning | options |", "|---|---|---|", *rows, ""])


def first_line(entry: object) -> str:
    """First line of an entry's docstring."""
    return (entry.__doc__ or "").strip().partition("\n")[0].replace("|", "\\|")


def options(entry: object) -> str:
    """Options of a model, one a line, with default and meaning."""
    if not (isinstance(entry, type) and issubclass(entry, BaseModel)):
        return ""
    fields = {name: field for name, field in entry.model_fields.items() if name not in ("name", "program")}
    texts = descriptions(entry)
    lines = [f"`{name}: {default(field)}` {' '.join(texts.get(name, '').split())}" for name, field in fields.items()]
    grid: Mapping[str, Sequence[float]] = getattr(entry, "grid", {})
    lines += [f"search tries `{name}` {', '.join(map(shown, values))}" for name, values in grid.items()]
    return "<br>".join(line.replace("|", "\\|") for line in lines)


def default(field: FieldInfo) -> str:
    """Default of an option, as YAML writes it."""
    return "…" if field.is_required() else shown(field.default)


def shown(value: object) -> str:
    """Value as YAML writes it, with four digits at most."""
    return f"{value:.4g}" if isinstance(value, float) else str(json.dumps(value)).strip('"')
