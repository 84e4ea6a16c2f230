"""The rules as Snakemake has read them, for tests: run as a program, it prints them as JSON."""

import ast
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from .conftest import ROOT

KINDS = ("input", "output", "params", "wildcards")
# methods of Snakemake's named lists
METHODS = ("get", "items", "keys")

PROGRAM = """
import json, sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings

def unpacked(rule, wildcards):
    for item in rule.input:
        if getattr(item, "flags", {}).get("unpack"):
            yield from item._file.callable(wildcards)

def facts(rule, is_local):
    wildcards = {"dataset": "embedded", "experiment": "unet", "batch": "0000"}
    params = dict(rule.params.items())
    return {
        "script": rule.script and Path(rule.script.replace("{params.script}", params.get("script", ""))).stem,
        "is_local": is_local,
        "log": list(map(str, rule.log)),
        "benchmark": rule.benchmark and str(rule.benchmark),
        "resources": list(rule.resources.keys()),
        "input": [*rule.input.keys(), *unpacked(rule, wildcards)],
        "output": list(rule.output.keys()),
        "params": list(params),
        "wildcards": sorted(rule.wildcard_names),
    }

with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
    read = api.workflow(resource_settings=ResourceSettings(), snakefile=Path(sys.argv[1]))._workflow
    print(json.dumps({rule.name: facts(rule, rule.name in read._localrules) for rule in read.rules}))
"""


def read_rules() -> dict[str, dict]:
    """Names, files and resources of every rule with a script, without the kinds of jobs from which they inherit."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", PROGRAM, str(ROOT / "Snakefile")]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rules = json.loads(done.stdout.splitlines()[-1])
    return {name: rule for name, rule in rules.items() if rule["script"] and not name.endswith("_job")}


def names_in_script(path: Path) -> set[tuple[str, str]]:
    """Names that a script takes from its rule, as ("input", "images"); those behind `get` are optional and left out."""
    tree = ast.parse(path.read_text())
    aliases = dict(pair for node in ast.walk(tree) if isinstance(node, ast.Assign) for pair in _aliases(node))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = node.attr
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            name = node.slice.value
        else:
            continue
        kind = _kind(node.value, aliases)
        if kind in KINDS and isinstance(name, str) and name not in METHODS:
            found.add((kind, name))
    return found


def _kind(node: ast.expr, aliases: dict[str, str]) -> str | None:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "snakemake":
        return node.attr
    return aliases.get(node.id) if isinstance(node, ast.Name) else None


def _aliases(node: ast.Assign) -> list[tuple[str, str]]:
    target, value = node.targets[0], node.value
    targets = target.elts if isinstance(target, ast.Tuple) else [target]
    values = value.elts if isinstance(value, ast.Tuple) else [value]
    pairs = zip(targets, values, strict=False)
    return [(name.id, kind) for name, part in pairs if isinstance(name, ast.Name) and (kind := _kind(part, {}))]
