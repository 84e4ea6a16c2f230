"""Finders of particle centers on probability maps, by name."""

from collections.abc import Mapping
from typing import Any

from crisp_core.errors import UserError
from crisp_core.options import by_name, chosen
from crisp_core.picking.finders.crocker_grier import CrockerGrier
from crisp_core.picking.finders.finder import Finder
from crisp_core.picking.finders.morphology import Morphology
from crisp_core.picking.finders.nms import Nms

FINDERS = by_name(
    Morphology,
    CrockerGrier,
    Nms,
)
DEFAULT = "nms"


def all_settings() -> list[Finder]:
    """Settings that the search tries: the grid of every finder."""
    return [setting for finder in FINDERS.values() for setting in finder.settings()]


def chosen_finder(given: str | Mapping[str, Any] | Finder) -> Finder:
    """Finder that the config names, with its parameters; a name alone takes the default parameters."""
    return chosen(FINDERS, given, place="centers/finder")


def settings_to_try(given: str | Mapping[str, Any] | Finder) -> list[Finder]:
    """Settings of the config's `centers/finder`: all of them for `search`, otherwise the one that it gives."""
    return all_settings() if given == "search" else [chosen_finder(given)]


def finder_of_file(centers: Mapping[str, Any]) -> Finder:
    """Finder that a `centers.yaml` names; earlier versions wrote the published numbers e and s.

    Raises
    ------
    UserError
        If the finder or one of its parameters is not known.
    """
    if "e" not in centers:
        return chosen_finder(centers["finder"])
    if centers["finder"] not in FINDERS:
        raise UserError(f"centers.yaml, finder: {centers['finder']} is not known; use one of {', '.join(FINDERS)}")
    return FINDERS[centers["finder"]].from_published(centers["e"], centers["s"])
