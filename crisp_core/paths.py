"""Files that the patterns of a config name (placeholder until the module of the branch inputs is merged)."""

import glob
from collections.abc import Sequence


def matching_files(patterns: str | Sequence[str]) -> list[str]:
    """Files that match a glob or path, or a list of them, each once."""
    patterns = [patterns] if isinstance(patterns, str) else patterns
    files = [
        path
        for pattern in patterns
        for path in (sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern])
    ]
    return list(dict.fromkeys(files))
