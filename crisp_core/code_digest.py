"""Digests of the code behind a script and of files, by which a rule reruns when one of them changes."""

import ast
import hashlib
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple


def code_digest(script: Path, *, package: Path, chosen: Collection[Path] = (), among: Collection[Path] = ()) -> str:
    """Digest of what the project's modules mean that a script imports, directly or through others.

    Comments, docstrings and layout do not count; the script itself does not either.

    Parameters
    ----------
    script : Path
        A Python file.
    package : Path
        Folder of the project's package; other modules beside it, such as those that pip installed, do not count.
    chosen : collection of Path
        Modules that the script chooses by a setting among those of a registry; they count too.
    among : collection of Path
        Modules of that registry; only the chosen ones count, so that another entry reruns nothing.

    Returns
    -------
    str
        12 hexadecimal digits, the same for every version of Python that can parse the modules.
    """
    todo, done = [script, *chosen], set()
    others = set(among) - set(chosen)
    while todo:
        path = todo.pop()
        done.add(path)
        todo += _imported_files(path, package) - done - others
    return _digest(_parsed(path).meaning for path in sorted(done - {script}))


def files_digest(paths: Iterable[Path]) -> str:
    """Digest of the contents of files, in their order: 12 hexadecimal digits."""
    return _digest(path.read_bytes() for path in paths)


def _digest(contents: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)
    return digest.hexdigest()[:12]


class _Parsed(NamedTuple):
    meaning: bytes
    imports: frozenset[str]


# every start of the workflow reads some 300 files, so each is parsed once; within a run they do not change
@cache
def _parsed(path: Path) -> _Parsed:
    """Syntax tree of a Python file as UTF-8 text, without comments, docstrings and positions, and what it imports."""
    tree = ast.parse(path.read_bytes())
    return _Parsed(_as_text(tree).encode(), frozenset(_imported_modules(tree)))


def clear_cache() -> None:
    """Forget all files that were read."""
    for function in (_parsed, _imported_files, _files_by_module):
        function.cache_clear()


def _as_text(node: object) -> str:
    """Text of a part of a syntax tree. `ast.dump` is not used, since its text differs between versions of Python.

    Empty fields are left out: a newer Python adds some, such as `type_params` in 3.12.
    """
    if isinstance(node, list):
        return f"[{','.join([_as_text(item) for item in node if not _is_text_alone(item)])}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    values = [(name, getattr(node, name, None)) for name in node._fields]
    fields = [f"{name}={_as_text(value)}" for name, value in values if value is not None and value != []]
    return f"{type(node).__name__}({','.join(fields)})"


def _is_text_alone(node: object) -> bool:
    """Whether a statement is only a string: a docstring, or a text that does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@cache
def _imported_files(path: Path, package: Path) -> frozenset[Path]:
    """Files of a package that Python may run where a file imports its modules, with the `__init__.py` around them."""
    files = _files_by_module(package)
    names = {name for module in _parsed(path).imports for name in accumulate(module.split("."), "{}.{}".format)}
    return frozenset(files[name] for name in names & files.keys())


def _imported_modules(tree: ast.Module) -> Iterator[str]:
    """Names of all modules that a parsed file may import, `from a import b` as a and as a.b."""
    # only statements import, and only these parts of a statement hold others
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            todo += getattr(node, part, ())
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def _files_by_module(package: Path) -> dict[str, Path]:
    """Files of a package by the names of their modules; `__init__.py` has that of its folder.

    The outermost `__init__.py` is left out: it holds the version and the list of public names, which compute nothing.
    """
    files = {file.relative_to(package.parent).with_suffix("").parts: file for file in package.rglob("*.py")}
    named = {".".join(parts[:-1] if parts[-1] == "__init__" else parts): file for parts, file in files.items()}
    return {name: file for name, file in named.items() if name != package.name}
