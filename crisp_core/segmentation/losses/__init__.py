"""Losses by name. This module holds the registry alone: a new loss changes no digest of a training without it."""

from crisp_core.options import by_name
from crisp_core.segmentation.losses.cross_entropy import CrossEntropy
from crisp_core.segmentation.losses.dice import Dice
from crisp_core.segmentation.losses.jaccard import Jaccard
from crisp_core.segmentation.losses.lovasz import Lovasz
from crisp_core.segmentation.losses.tversky import Tversky

LOSSES = by_name(
    Dice,
    Jaccard,
    Tversky,
    Lovasz,
    CrossEntropy,
)
