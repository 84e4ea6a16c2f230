"""Probabilities of the labels on whole micrographs, tile by tile."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from crisp_core.segmentation.crf.network import CrfNetwork
from crisp_core.segmentation.networks import total_stride
from crisp_core.segmentation.tiles import stitch, tiling


def predict(
    network: nn.Module,
    image: np.ndarray,
    *,
    tile_px: int,
    overlap_px: int,
    tiles_per_step: int | None = None,
    turns: bool = False,
    device: str = "cpu",
) -> np.ndarray:
    """Predict the labels' probabilities of every pixel of a prepared micrograph.

    Parameters
    ----------
    network : Module
        In evaluation mode, on `device`: logits (b, labels, h, w) from images (b, 1, h, w). That of a `CrfNetwork`
        sees a tile at a time; the seams that this leaves are blended (docs/crf-layer.md).
    image : (height, width) float32 array
    tile_px, overlap_px : int
        Largest side of a tile and the least overlap of neighbours, in pixels of the image: see `tiles.tiling`.
    tiles_per_step : int, optional
        Tiles that pass through the network at a time; by default `default_tiles_per_step`. Tiles of different
        micrographs never share a step, so a micrograph's result does not depend on its neighbours in the batch.
    turns : bool
        Average over the image and its three quarter turns: four times slower.
    device : str

    Returns
    -------
    (labels, height, width) float32 array, the sum over labels is 1
    """
    tiles = tiling(image.shape, tile_px=tile_px, overlap_px=overlap_px)
    height, width = tiles.shape
    at_once = default_tiles_per_step(device) if tiles_per_step is None else tiles_per_step

    def probabilities() -> Iterator[np.ndarray]:
        """Yield the label probabilities (labels, h, w) of each tile."""
        for start in range(0, len(tiles.corners), at_once):
            corners = tiles.corners[start : start + at_once]
            step = np.stack([image[y : y + height, x : x + width] for y, x in corners])[:, None]
            yield from tile_probabilities(network, torch.from_numpy(step).to(device), turns=turns).cpu().numpy()

    with torch.inference_mode():
        return stitch(probabilities(), tiles, image.shape, overlap_px=overlap_px)


def default_tiles_per_step(device: str) -> int:
    """Tiles per step: several on a GPU; one on a CPU, where more leave its cache and take 1.3 times as long each."""
    return 4 if device.startswith("cuda") else 1


def tile_probabilities(network: nn.Module, tiles: torch.Tensor, *, turns: bool) -> torch.Tensor:
    """Label probabilities (b, labels, h, w) of tiles (b, 1, h, w), optionally the mean over four quarter turns.

    Parameters
    ----------
    network : Module
        Network in evaluation mode, on the device of the tiles.
    tiles : (b, 1, h, w) tensor
        Tiles of prepared micrographs.
    turns : bool
        Average over the four quarter turns of the tiles.
    """
    quarter_turns = range(4) if turns else range(1)
    total: Any = sum(
        torch.rot90(padded_logits(network, torch.rot90(tiles, k, (2, 3))).softmax(dim=1), -k, (2, 3))
        for k in quarter_turns
    )
    return total / len(quarter_turns)


def padded_logits(network: nn.Module, tiles: torch.Tensor) -> torch.Tensor:
    """Logits of tiles whose sides need not be multiples of the network's stride.

    Missing pixels are mirrored (repeated if the tile is too small) and cut off afterwards.
    """
    height, width = tiles.shape[-2:]
    stride = total_stride(network)
    missing = (0, -width % stride, 0, -height % stride)
    mode = "reflect" if missing[1] < width and missing[3] < height else "replicate"
    padded = F.pad(tiles, missing, mode=mode).contiguous(memory_format=torch.channels_last)
    if isinstance(network, CrfNetwork):
        return network(padded, (height, width))
    return network(padded)[..., :height, :width].float()
