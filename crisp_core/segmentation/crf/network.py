"""A segmentation network with a conditional random field on its logits."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from crisp_core.geometry import Shape
from crisp_core.segmentation.crf.layer import CrfLayer
from crisp_core.segmentation.crf.settings import LayerSettings


class CrfNetwork(nn.Module):
    """Network with a CRF: its output are log marginals, which replace the logits in loss and softmax.

    Parameters
    ----------
    network : Module
        Network of segmentation_models.pytorch with encoder, decoder and segmentation_head.
    settings : LayerSettings
        Settings of the CRF.
    n_labels : int
        Number of channels of the logits.

    Raises
    ------
    UserError
        If the settings are wrong.
    """

    # Any, since the networks of segmentation_models.pytorch have no common type
    network: Any

    def __init__(self, network: nn.Module, settings: LayerSettings, n_labels: int) -> None:
        super().__init__()
        self.network = network
        self.crf = CrfLayer(settings, n_labels, feature_channels=feature_channels(network))

    @property
    def encoder(self) -> nn.Module:
        """Encoder of the network, which determines the allowed sides of images."""
        return self.network.encoder

    def forward(self, images: torch.Tensor, shape: Shape | None = None) -> torch.Tensor:
        """Return log marginals (b, l, height, width) of images (b, 1, h, w).

        Pixels beyond `shape` (height, width), by default none, are a margin for the network and not part of the CRF.
        """
        height, width = shape or images.shape[2:]
        logits, features = self.logits_and_features(images)
        # contiguous, since the channels of the network may be the last axis
        logits = logits[..., :height, :width].float().contiguous()
        if features is not None:
            features = features[..., :height, :width].float().contiguous()
        return self.crf(logits, features)

    def logits_and_features(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return logits and the features of the CRF at the same size, None if the logits are the features."""
        kind = self.crf.settings.features
        if kind != "learned":
            return self.network(images), images if kind == "intensity" else None
        decoded = self.network.decoder(self.network.encoder(images))
        logits = self.network.segmentation_head(decoded)
        if decoded.shape[2:] != logits.shape[2:]:
            decoded = F.interpolate(decoded, logits.shape[2:], mode="bilinear", align_corners=False)
        return logits, decoded


def feature_channels(network: Any) -> int:
    """Return the number of channels of the last feature map of the decoder, the input of the head."""
    return next(m.in_channels for m in network.segmentation_head.modules() if isinstance(m, nn.Conv2d))
