"""The index: all runs of a folder, and the tables and comparisons of several runs."""

from collections.abc import Iterable, Mapping
from typing import Any

from crisp_core.report.page import find_versions, read_extras, template_environment


def render_index(entries: Iterable[Mapping[str, Any]], shared: Iterable[str]) -> str:
    """HTML of the index.

    Parameters
    ----------
    entries : iterable of mappings
        Of `report.page.index_entry`, one per run.
    shared : iterable of str
        Tables (.tsv) and plots (.png) of several runs.
    """
    template = template_environment().get_template("index.html")
    return template.render(entries=list(entries), versions=find_versions(), **read_extras(shared))
