"""The page of the rules: parsed from rules/*.smk."""

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

INTRODUCTION = """# Rules and their files

Each section lists the rules of one file of `rules/`, in the order of the Snakefile. Results are below `results/`. An
entry `plan.…` is a function of `crisp_core.plan`, which returns the files of the job. To make only some of these files:
[run parts](../running.md).
"""
# a rule of its own, or one that inherits from a kind of job
RULE = re.compile(r"^(?:use rule \w+ as|rule) (\w+)(?: with)?:\n((?:(?: {4}.*)?\n)+)", re.M)
SECTION = re.compile(r"^ {4}(\w+):(.*\n(?:(?: {8}.*)?\n)*)", re.M)
SCRIPT = re.compile(r'workflow_scripts/(\w+)\.py|run_script\("(\w+)"')


@dataclass(frozen=True)
class Rule:
    """A rule that runs a script: the paths are patterns, or functions of the plan."""

    name: str
    inputs: list[str]
    outputs: list[str]
    script: str


def rules_page(root: Path) -> str:
    """A table of the rules of every .smk file that has some."""
    names = re.findall(r'include: "rules/(\w+)\.smk"', (root / "Snakefile").read_text())
    files = {name: list(rules_of(root / "rules" / f"{name}.smk")) for name in names}
    return "\n".join([INTRODUCTION, *(file_section(name, rules, root) for name, rules in files.items() if rules)])


def rules_of(path: Path) -> Iterator[Rule]:
    """Rules of a .smk file that run a script."""
    for name, body in RULE.findall(path.read_text()):
        sections = dict(SECTION.findall(body))
        script = SCRIPT.search(body)
        if script and "output" in sections:
            yield Rule(name, paths(sections.get("input", "")), paths(sections["output"]), script[1] or script[2])


def paths(section: str) -> list[str]:
    """What a section names: its strings, and functions of the plan where no string names a path."""
    call = ast.parse(f"f(\n{textwrap.dedent(section)}\n)", mode="eval").body
    assert isinstance(call, ast.Call)
    return [path for value in [*call.args, *(keyword.value for keyword in call.keywords)] for path in paths_of(value)]


def paths_of(value: ast.expr) -> list[str]:
    """Strings with a slash in an expression, or the names of the functions that are asked."""
    found = [node.value for node in ast.walk(value) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    named = [text for text in found if "/" in text]
    return named or [f"plan.{ast.unparse(node)}" for node in ast.walk(value) if isinstance(node, ast.Attribute)]


def file_section(name: str, rules: list[Rule], root: Path) -> str:
    """Heading and table of one .smk file."""
    rows = [f"| `{rule.name}` | {purpose(rule, root)} | {cell(rule.inputs)} | {cell(rule.outputs)} |" for rule in rules]
    return "\n".join([f"## {name}.smk\n", "| rule | purpose | inputs | outputs |", "|---|---|---|---|", *rows, ""])


def purpose(rule: Rule, root: Path) -> str:
    """First paragraph of the docstring of the rule's script."""
    text = ast.get_docstring(ast.parse((root / "workflow_scripts" / f"{rule.script}.py").read_text())) or ""
    sentence = " ".join(text.partition("\n\n")[0].split()).removeprefix(f"Rule {rule.name}: ").replace("|", "\\|")
    return sentence[:1].upper() + sentence[1:]


def cell(names: list[str]) -> str:
    """Paths in a cell, one a line."""
    return "<br>".join(f"`{name.removeprefix('results/')}`" for name in names)
