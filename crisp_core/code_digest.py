"""Digests of files and of the modules behind a script, by which the workflow makes a result again when one changes."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path


def code_digest(script: Path, *, root: Path) -> str:
    """Digest of the project's modules that a script imports, directly or through others; not of the script itself.

    Parameters
    ----------
    script : Path
        A Python file.
    root : Path
        Folder of the project, from which its modules are imported.
    """
    todo, done = [script], set()
    while todo:
        path = todo.pop()
        done.add(path)
        todo += imported_files(path, root) - done
    return files_digest(sorted(done - {script}))


def files_digest(paths: Iterable[Path]) -> str:
    """Digest of the contents of files, in their order: 12 hexadecimal digits."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:12]


@cache
def imported_files(path: Path, root: Path) -> frozenset[Path]:
    """Files below `root` that a Python file imports itself."""
    modules = _imported_modules(ast.parse(path.read_bytes()))
    files = {(root / Path(*module.split("."))).with_suffix(".py") for module in modules}
    return frozenset(file for file in files if file.is_file())


def _imported_modules(tree: ast.AST) -> Iterator[str]:
    """Names of all modules that a parsed file may import, `from a import b` as a and as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
