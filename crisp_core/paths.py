"""Files that the config names: paths and glob patterns, where a path that exists is itself and not a pattern."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence

from crisp_core.errors import UserError

Patterns = str | Sequence[str]


def with_home(value: object) -> object:
    """Paths with the user's folder in place of a leading `~`: one path, or a list or mapping of them.

    Parameters
    ----------
    value : str, list or dict
        Anything else, such as None, is returned as it is.
    """
    if isinstance(value, str):
        return os.path.expanduser(value)
    if isinstance(value, list):
        return [with_home(item) for item in value]
    if isinstance(value, dict):
        return {key: with_home(item) for key, item in value.items()}
    return value


def matching_files(patterns: Patterns) -> list[str]:
    """Paths that match a glob or path, or a list of them, each once, in the order of the list and sorted per glob.

    A path that exists is itself, and so is an existing folder at the head of a pattern: of ``grid [A]/*.mrc`` only
    the last part is a pattern where there is a folder ``grid [A]``. What has no ``*``, ``?`` or ``[`` beyond such
    folders stays although there is no such file, so that its absence can be told by name.

    Parameters
    ----------
    patterns : str or sequence of str
        As `glob.glob` reads them; ``**`` also matches folders in folders.
    """
    found = [path for pattern in as_list(patterns) for path in _matches_of(pattern)]
    first: dict[str, str] = {}
    for path in found:
        # ./mic.mrc is mic.mrc
        first.setdefault(os.path.abspath(path), path)
    return list(first.values())


def states_of(paths: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Size (bytes) and time (s) of files, by path: Snakemake does not see a file that an older one replaced.

    Parameters
    ----------
    paths : iterable of str
        Files that are not there are left out.
    """
    states = {path: os.stat(path) for path in paths if os.path.isfile(path)}
    return {path: (state.st_size, int(state.st_mtime)) for path, state in states.items()}


def some_of(paths: Sequence[str], most: int) -> list[str]:
    """At most so many of the paths, at equal distances in their list."""
    n = min(most, len(paths))
    return [paths[i * len(paths) // n] for i in range(n)]


def exact_paths(patterns: Patterns) -> list[str]:
    """Return those of the patterns that name an existing file by its exact path."""
    return [path for path in map(os.path.expanduser, as_list(patterns)) if os.path.lexists(path)]


def check_patterns(key: str, patterns: Patterns, *, must_exist: bool, may_arrive: bool = False) -> None:
    """Refuse patterns that name nothing, and folders in place of files.

    Parameters
    ----------
    key : str
        Place in the config, for the message.
    patterns : str or sequence of str
    must_exist : bool
        Whether a plain path, too, must exist. Micrographs that do not are quarantined one by one instead.
    may_arrive : bool
        Whether files are still being written: a pattern may then match nothing yet.

    Raises
    ------
    UserError
        Naming the first such pattern.
    """
    for pattern in as_list(patterns):
        found = _matches_of(pattern)
        if os.path.isdir(os.path.expanduser(pattern)):
            raise UserError(f"{key}: {pattern} is a folder; name its files, such as {os.path.join(pattern, '*')}")
        missing = not found or (must_exist and not os.path.lexists(found[0]))
        if missing and not may_arrive:
            raise UserError(f"{key}: no file matches {pattern}{_missing_folder(pattern)}; correct it or remove it")


def as_list(patterns: Patterns) -> list[str]:
    """A single path or pattern as a list of one."""
    return [patterns] if isinstance(patterns, str) else list(patterns)


def _matches_of(pattern: str) -> list[str]:
    pattern = os.path.expanduser(pattern)
    if not _is_pattern(pattern):
        return [pattern]
    return sorted(dict.fromkeys(_walk(*_split(pattern))))


def _is_pattern(path: str) -> bool:
    """Whether there is a ``*``, ``?`` or ``[`` in what is left of a path after the folders that exist."""
    folder, parts = _split(path)
    while parts and os.path.lexists(os.path.join(folder, parts[0])):
        folder = os.path.join(folder, parts.pop(0))
    return any(map(glob.has_magic, parts))


def _split(pattern: str) -> tuple[str, list[str]]:
    """Root of a path (``/`` or nothing), and its parts."""
    drive, rest = os.path.splitdrive(pattern)
    root = drive + (os.sep if rest.startswith(os.sep) else "")
    return root, [part for part in rest.split(os.sep) if part]


def _walk(folder: str, parts: Sequence[str]) -> Iterator[str]:
    """Paths in a folder that match the parts of a pattern; a part that exists there is a name and not a pattern."""
    if not parts:
        yield folder
        return
    path = os.path.join(folder, parts[0])
    if os.path.lexists(path) or not glob.has_magic(parts[0]):
        found = [path] if os.path.lexists(path) else []
    else:
        # of `**` glob leaves out the current folder, which has no name here
        here = [""] if parts[0] == "**" and not folder else []
        found = here + glob.glob(os.path.join(glob.escape(folder), parts[0]), recursive=True)
    for path in found:
        if (path and len(parts) == 1) or (len(parts) > 1 and os.path.isdir(path or os.curdir)):
            yield from _walk(path, parts[1:])


def _missing_folder(pattern: str) -> str:
    """Words that name the first folder of a pattern that does not exist, where that is why nothing matches."""
    folder, parts = _split(os.path.expanduser(pattern))
    for part in parts[:-1]:
        folder = os.path.join(folder, part)
        if not os.path.lexists(folder):
            return "" if glob.has_magic(part) else f" (there is no folder {folder})"
    return ""
