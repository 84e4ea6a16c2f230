"""A segmentation network with a conditional random field on its logits."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from crisp_core.geometry import Shape
from crisp_core.segmentation.crf.layer import CrfLayer


class CrfNetwork(nn.Module):
    """Log marginals of a CRF, which take the place of the network's logits in loss and softmax.

    Parameters
    ----------
    network : Module
        Of segmentation_models.pytorch: with encoder, decoder and segmentation_head.
    settings : mapping
        All keys of `crf.layer.PUBLISHED`.
    n_labels : int
        Channels of the network's logits.

    Raises
    ------
    UserError
        If the settings name no layer.
    """

    # of segmentation_models.pytorch, whose parts have no common type
    network: Any

    def __init__(self, network: nn.Module, settings: Mapping[str, Any], n_labels: int) -> None:
        super().__init__()
        self.network = network
        self.crf = CrfLayer(settings, n_labels, feature_channels=feature_channels(network))

    @property
    def encoder(self) -> nn.Module:
        """Encoder of the network, which says what sides the images may have."""
        return self.network.encoder

    def forward(self, images: torch.Tensor, shape: Shape | None = None) -> torch.Tensor:
        """Log marginals (b, l, height, width) of images (b, 1, h, w).

        What lies right of or below `shape` (height, width), by default nothing, is a margin for the network, whose
        pixels are no neighbours in the CRF.
        """
        height, width = shape or images.shape[2:]
        logits, features = self.logits_and_features(images)
        # contiguous: the network's channels may come last
        logits = logits[..., :height, :width].float().contiguous()
        if features is not None:
            features = features[..., :height, :width].float().contiguous()
        return self.crf(logits, features)

    def logits_and_features(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Logits, and the features of the CRF's settings on the same grid; None where they are the logits."""
        kind = self.crf.settings["features"]
        if kind != "learned":
            return self.network(images), images if kind == "intensity" else None
        decoded = self.network.decoder(self.network.encoder(images))
        logits = self.network.segmentation_head(decoded)
        if decoded.shape[2:] != logits.shape[2:]:
            decoded = F.interpolate(decoded, logits.shape[2:], mode="bilinear", align_corners=False)
        return logits, decoded


def feature_channels(network: Any) -> int:
    """Channels of the decoder's last feature map: what the head's first convolution takes."""
    return next(m.in_channels for m in network.segmentation_head.modules() if isinstance(m, nn.Conv2d))
