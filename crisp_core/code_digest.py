"""Digests of the code behind a script and of files, by which a rule reruns when one of them changes."""

import ast
import hashlib
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path


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
        todo += imported_files(path, package) - done - others
    return _digest(file_meaning(path).encode() for path in sorted(done - {script}))


def files_digest(paths: Iterable[Path]) -> str:
    """Digest of the contents of files, in their order: 12 hexadecimal digits."""
    return _digest(path.read_bytes() for path in paths)


def _digest(contents: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(contents)).hexdigest()[:12]


@cache
def file_meaning(path: Path) -> str:
    """Syntax tree of a Python file as text, without comments, docstrings and positions."""
    return _as_text(ast.parse(path.read_bytes()))


def _as_text(node: object) -> str:
    """Text of a part of a syntax tree. `ast.dump` is not used, since its text differs between versions of Python.

    Empty fields are left out: a newer Python adds some, such as `type_params` in 3.12.
    """
    if isinstance(node, list):
        return f"[{','.join(_as_text(item) for item in node if not _is_text_alone(item))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = (f"{name}={_as_text(value)}" for name, value in ast.iter_fields(node) if value not in (None, []))
    return f"{type(node).__name__}({','.join(fields)})"


def _is_text_alone(node: object) -> bool:
    """Whether a statement is only a string: a docstring, or a text that does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@cache
def imported_files(path: Path, package: Path) -> frozenset[Path]:
    """Files of a package that a Python file imports itself."""
    imported = _imported_modules(ast.parse(path.read_bytes()))
    modules = (module for module in imported if module.partition(".")[0] == package.name)
    files = {file for module in modules for file in _module_files(module, package.parent)}
    return frozenset(file for file in files if file.is_file())


def _imported_modules(tree: ast.AST) -> Iterator[str]:
    """Names of all modules that a parsed file may import, `from a import b` as a and as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module_files(module: str, root: Path) -> Iterator[Path]:
    """Files that Python may run to import a module: its own and the `__init__.py` of the packages around it.

    The outermost package's is left out: it holds the version and the list of public names, which compute nothing.
    """
    path = root / Path(*module.split("."))
    yield path.with_suffix(".py")
    for package in (path, *path.parents):
        if len(package.relative_to(root).parts) < 2:
            return
        yield package / "__init__.py"
