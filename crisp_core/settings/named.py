"""Settings that choose an entry of a registry by name: losses, finders of centers."""

from crisp_core.options import chosen
from crisp_core.picking.finders import FINDERS
from crisp_core.picking.settings import CenterSettings
from crisp_core.segmentation.losses import LOSSES
from crisp_core.segmentation.training_settings import TrainingSettings


def check_losses(place: str, training: TrainingSettings) -> None:
    """Refuse a loss that is not registered, or options that it does not have, in the section `training`."""
    for term in training.loss:
        chosen(LOSSES, term, place=f"{place}/training/loss")


def check_finder(place: str, centers: CenterSettings) -> None:
    """Refuse a finder that is not registered, or parameters that it does not have, in the section `centers`."""
    if centers.finder != "search":
        chosen(FINDERS, centers.finder, place=f"{place}/centers/finder", others=("search",))
