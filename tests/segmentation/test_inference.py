import numpy as np
import pytest
import torch
from torch import nn

from crisp_core.segmentation.inference import predict


class Local(nn.Module):
    """Two labels whose logits depend on the pixel alone, so tiles and padding cannot show."""

    def forward(self, images):
        return torch.cat([torch.zeros_like(images), images], dim=1)


class Blur(nn.Module):
    """Depends on neighbours, and on nothing else."""

    def forward(self, images):
        blurred = nn.functional.avg_pool2d(images, 5, stride=1, padding=2)
        return torch.cat([torch.zeros_like(blurred), blurred], dim=1)


class Strided(nn.Module):
    """Refuses sides that are no multiple of 16."""

    class Encoder:
        output_stride = 16

    encoder = Encoder()

    def forward(self, images):
        assert images.shape[-1] % 16 == 0 and images.shape[-2] % 16 == 0
        return torch.cat([torch.zeros_like(images), images], dim=1)


for network in (Local, Blur):
    network.encoder = Strided.Encoder()


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(size=(100, 131)).astype(np.float32)


@pytest.mark.parametrize("turns", [False, True])
def test_tiles_give_what_the_whole_image_gives(image, turns):
    probability = predict(Local(), image, tile_px=48, overlap_px=8, turns=turns)
    np.testing.assert_allclose(probability[1], 1 / (1 + np.exp(-image)), atol=1e-6)
    np.testing.assert_allclose(probability.sum(0), 1, atol=1e-6)


def test_seams_fade_for_a_network_that_sees_neighbours(image):
    whole = predict(Blur(), image, tile_px=512, overlap_px=0)
    tiled = predict(Blur(), image, tile_px=64, overlap_px=32)
    difference = np.abs(whole - tiled)[1, 3:-3, 3:-3]
    assert difference.max() < 0.02


@pytest.mark.parametrize("shape", [(100, 131), (17, 40), (5, 5), (1, 30)])
def test_any_size_comes_back_as_it_was(shape):
    image = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    probability = predict(Strided(), image, tile_px=64, overlap_px=16)
    np.testing.assert_allclose(probability[1], 1 / (1 + np.exp(-image)), atol=1e-6)


def test_the_number_of_tiles_per_step_changes_next_to_nothing(image):
    one, many = (predict(Blur(), image, tile_px=48, overlap_px=8, tiles_per_step=n) for n in (1, 7))
    np.testing.assert_allclose(one, many, atol=1e-6)


def test_a_cpu_gets_one_tile_at_a_time_unless_the_config_says_more(image):
    class Counting(Local):
        def forward(self, images):
            sizes.append(len(images))
            return super().forward(images)

    sizes = []
    for given in ({}, {"tiles_per_step": 4}):
        predict(Counting(), image, tile_px=64, overlap_px=8, **given)
    assert sizes == [1] * 6 + [4, 2]
