"""The page of the config: every key with its type, default and meaning."""

from pathlib import Path

from crisp_core.settings import reference


def config_page(root: Path) -> str:
    """The keys of the settings' models, a table per section."""
    return reference.config_page()
