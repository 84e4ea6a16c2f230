"""Values of a config file that YAML changes silently: keys that are given twice, numbers that are not those written."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from crisp_core.errors import UserError

# YAML 1.1 reads 010 as 8 and 1:30 as 90
REREAD_NUMBER = re.compile(r"[-+]?(0[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def check_config_files(paths: Iterable[str | Path]) -> None:
    """Refuse config files of which YAML would read something else than they say.

    Parameters
    ----------
    paths : iterable of str or Path
        YAML or JSON files, which Snakemake has read.

    Raises
    ------
    UserError
        For a key that is given twice, of which YAML takes the last, and for a number with a leading zero or a colon.
    """
    for path in paths:
        try:
            node = yaml.compose(Path(path).read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
        except yaml.YAMLError:  # JSON that is not YAML too, as with tabs
            continue
        for fault, line in _faults(node, "", set()):
            raise UserError(f"{path}, line {line}: {fault}")


def _faults(node: yaml.Node | None, place: str, seen: set[int]) -> Iterator[tuple[str, int]]:
    """Each fault below a node, with its line; `seen` holds nodes that aliases repeat."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        if node.tag in NUMBER_TAGS and not node.style and REREAD_NUMBER.fullmatch(node.value):
            read = yaml.safe_load(node.value)
            yield (
                f"{place} is {node.value}, which YAML reads as {read}; write the number meant, or a name in quotes",
                _line(node),
            )
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _faults(item, place, seen)
    else:
        yield from _mapping_faults(node, place, seen)


def _mapping_faults(node: yaml.MappingNode, place: str, seen: set[int]) -> Iterator[tuple[str, int]]:
    lines: dict[object, int] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else str(_line(key))
        below = f"{place}/{name}" if place else name
        if name in lines and key.tag != "tag:yaml.org,2002:merge":
            yield (
                (
                    f"{below} is given twice, first in line {lines[name]}, and only the last would count; "
                    "remove or rename one of the two"
                ),
                _line(key),
            )
        lines[name] = _line(key)
        yield from _faults(value, below, seen)


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1
