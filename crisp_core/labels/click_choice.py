"""Choice of the low pass and the weight of labels from clicks, from the micrograph itself, without known outlines.

The outlines of a first estimate become ellipsoids of the same second moments. Their projected thickness, scaled to the
contrast of the micrograph, and noise of the spectrum of what remains (with random phases) are a second micrograph,
whose outlines are known. The settings that label it best are taken.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import scipy.ndimage

from crisp_core.geometry import Shape, middle_window
from crisp_core.labels.settings import ClickSettings
from crisp_core.labels.thresholds import threshold_label

LOW_PASSES, WEIGHTS = (0.04, 0.06, 0.08, 0.11), (1.0, 2.0, 3.0, 4.0)
# Settings of the first estimate, and of micrographs where nothing can be chosen.
FIRST_LOWPASS, FIRST_WEIGHT = 0.08, 3.0
# Number of particles that suffice; the second micrograph is a window with about as many.
MAX_PARTICLES = 100
# Area of an ellipsoid compared with that of its outline, since its rim is too thin to be seen.
AREA_RATIO = 1.2
# Smallest outline (px) whose moments are used.
LEAST_PIXELS = 5
# Pixels around an outline that may belong to the particle.
RIM_PX = 2
# Smallest share of the pixels without particles from which the noise is known.
LEAST_BACKGROUND = 0.1
SEED = 0


class Simulated(NamedTuple):
    """Micrograph with known outlines: image (h, w), outlines (h, w) bool."""

    image: np.ndarray
    truth: np.ndarray


def first_settings(settings: ClickSettings) -> ClickSettings:
    """Return the settings with values for the first estimate where they are null."""
    return with_choice(settings, FIRST_LOWPASS, FIRST_WEIGHT)


def with_choice(settings: ClickSettings, lowpass: float, weight: float) -> ClickSettings:
    """Return the settings with these values where they are null.

    Parameters
    ----------
    settings : ClickSettings
        Section `labels/clicks`.
    lowpass : float
        Low pass in particle diameters.
    weight : float
        Weight of the smoothness kernel.
    """
    lowpass = lowpass if settings.lowpass_diameters is None else settings.lowpass_diameters
    weight = weight if settings.weight is None else settings.weight
    return settings.changed(lowpass_diameters=lowpass, weight=weight)


def candidates(settings: ClickSettings) -> list[ClickSettings]:
    """Return the settings to try, without repetition: those given are kept."""
    tried = (with_choice(settings, lowpass, weight) for lowpass, weight in product(LOW_PASSES, WEIGHTS))
    return list({(each.lowpass_diameters, each.weight): each for each in tried}.values())


def choose_best(
    simulated: Simulated, tried: Sequence[ClickSettings], label: Callable[[np.ndarray, ClickSettings], np.ndarray]
) -> ClickSettings:
    """Return the settings whose labels have the highest IoU with the known outlines; the first of equal ones.

    Parameters
    ----------
    simulated : Simulated
        Micrograph with known outlines.
    tried : sequence of ClickSettings
        Settings to compare.
    label : callable
        Label (h, w) bool of an image (h, w) by settings.
    """
    found = [label(simulated.image, settings) for settings in tried]
    ious = [(inside & simulated.truth).sum() / max((inside | simulated.truth).sum(), 1) for inside in found]
    return tried[int(np.argmax(ious))]


def window_to_try(shape: Shape, n_particles: int) -> tuple[slice, slice]:
    """Return the window in the middle of a micrograph that has about `MAX_PARTICLES` of its particles."""
    share = np.sqrt(min(1.0, MAX_PARTICLES / max(n_particles, 1)))
    height, width = (max(1, round(n * share)) for n in shape)
    return middle_window(shape, (height, width))


def simulate_like(image: np.ndarray, valid: np.ndarray, instances: np.ndarray, *, diameter_px: float) -> Simulated:
    """Simulate a micrograph with the contrast, the noise and about the outlines of a given one.

    Parameters
    ----------
    image : (h, w) array
        Prepared micrograph.
    valid : (h, w) bool array
        Pixels that count.
    instances : (h, w) int array
        First estimate of the outlines: 0 background, otherwise number of the particle.
    diameter_px : float
        Diameter of the particle, px.
    """
    known = np.where(valid, image, image[valid].mean()).astype(np.float32)
    thickness = projected_ellipsoids(instances)
    flat_image, flat_thickness = (a - scipy.ndimage.gaussian_filter(a, diameter_px) for a in (known, thickness))
    power = float(np.square(flat_thickness[valid]).sum())
    contrast = float((flat_image[valid] * flat_thickness[valid]).sum()) / power if power else 0.0
    background = valid & ~scipy.ndimage.binary_dilation(instances > 0, iterations=RIM_PX)
    noise = noise_like(known - contrast * thickness, background)
    truth = threshold_label(thickness, method="li").astype(bool) if power else np.zeros(image.shape, bool)
    return Simulated((noise + contrast * thickness).astype(np.float32), truth)


def noise_like(remainder: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return noise (h, w) with random phases and the spectrum of an image in its background.

    Parameters
    ----------
    remainder : (h, w) array
        Micrograph without its particles. Where they were, it also has what the ellipsoids do not explain.
    background : (h, w) bool array
        Pixels without a particle.
    """
    share = background.mean()
    if share < LEAST_BACKGROUND:
        background, share = np.ones(remainder.shape, dtype=bool), 1.0
    alone = np.where(background, remainder - remainder[background].mean(), 0) / np.sqrt(share)
    random = np.fft.rfft2(np.random.default_rng(SEED).standard_normal(remainder.shape))
    spectrum = np.abs(np.fft.rfft2(alone)) * random / np.abs(random)
    return np.fft.irfft2(spectrum, s=remainder.shape)


def projected_ellipsoids(instances: np.ndarray) -> np.ndarray:
    """Return the thickness (h, w) of ellipsoids with the second moments of numbered outlines; 1 in their middle."""
    thickness = np.zeros(instances.shape, dtype=np.float32)
    for number, place in enumerate(scipy.ndimage.find_objects(instances), start=1):
        if place is None:
            continue
        yx = np.argwhere(instances[place] == number)
        if len(yx) >= LEAST_PIXELS:
            _add_ellipsoid(thickness, yx + [side.start for side in place])
    return thickness


def _add_ellipsoid(thickness: np.ndarray, yx: np.ndarray) -> None:
    center, moments = yx.mean(axis=0), np.cov(yx.T) + np.eye(2) / 12
    reach = np.ceil(2 * np.sqrt(AREA_RATIO * np.diag(moments)))
    first = np.maximum(np.floor(center - reach), 0).astype(int)
    last = np.minimum(np.ceil(center + reach) + 1, thickness.shape).astype(int)
    window = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    offsets = np.indices(thickness[window].shape).reshape(2, -1) + first[:, None] - center[:, None]
    # an ellipse of moments M has the outline x' M⁻¹ x = 4
    squared = (offsets * np.linalg.solve(moments, offsets)).sum(axis=0) / (4 * AREA_RATIO)
    thickness[window] += np.sqrt(np.clip(1 - squared, 0, None)).reshape(thickness[window].shape)
