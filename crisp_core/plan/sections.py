"""Where the settings of a network are in the config; apart from the plan, so that no change of a plan retrains it."""

from collections.abc import Mapping
from typing import Any


def network_settings(settings: Mapping[str, Any], network: str) -> Mapping[str, Any]:
    """Entry of networks or of experiments whose network is in the folder `network` below results/."""
    place, _, name = network.rpartition("/")
    return settings["networks" if place == "networks" else "experiments"][name]
