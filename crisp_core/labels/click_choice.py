"""Choice of the low pass and the weight of labels from clicks, from the micrograph itself, without known outlines.

The outlines of a first estimate become ellipses of the same second moments, and the mean grey value is estimated as a
function of the elliptical radius. Particles with this profile (hollow ones) or with that of an ellipsoid (others), and
noise of the spectrum of what remains (with random phases) are a second micrograph, whose outlines are known. The
settings that label it best are taken.
"""

from collections.abc import Callable, Sequence
from functools import partial
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
# Elliptical radii of the profile of the mean particle, in radii of the outline.
RADIUS_STEP, N_RADII = 0.15, 10
# Inner part of a profile, and its largest mean for a hollow particle, compared with the highest value.
INNER_RADIUS, HOLLOW_SHARE = 0.6, 0.5
# The outline of a hollow particle: share of the highest value, at the outermost flank.
RIM_LEVEL = 0.33
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
    radii = elliptical_radii(instances)
    if not np.isfinite(radii).any():
        return Simulated(known, np.zeros(image.shape, dtype=bool))
    fit = partial(fitted, flattened(known, diameter_px), valid, diameter_px=diameter_px)
    rings = np.stack([np.clip(1 - abs(radii / RADIUS_STEP - i), 0, 1) for i in range(N_RADII)])
    grey = fit(rings)
    profile = grey * np.sign((grey * np.arange(N_RADII)).sum())
    if is_hollow(profile):
        signal, truth = np.tensordot(grey, rings, 1), radii < rim(profile)
    else:
        thickness = np.sqrt(np.clip(1 - radii**2 / AREA_RATIO, 0, None))
        signal = fit(thickness[None])[0] * thickness
        truth = threshold_label(thickness, method="li").astype(bool)
    background = valid & ~scipy.ndimage.binary_dilation(instances > 0, iterations=RIM_PX)
    noise = noise_like(flattened(known - signal, diameter_px), background)
    return Simulated((noise + signal).astype(np.float32), truth)


def fitted(flat: np.ndarray, valid: np.ndarray, parts: np.ndarray, *, diameter_px: float) -> np.ndarray:
    """Return the factors (n,) with which flattened images of parts add up to a micrograph best, by least squares.

    Parameters
    ----------
    flat : (h, w) array
        Flattened micrograph.
    valid : (h, w) bool array
        Pixels that count.
    parts : (n, h, w) array
        Images of the parts.
    diameter_px : float
        Diameter of the particle, px.
    """
    columns = np.stack([flattened(part, diameter_px)[valid] for part in parts], axis=1)
    return np.linalg.lstsq(columns, flat[valid])[0]


def flattened(image: np.ndarray, diameter_px: float) -> np.ndarray:
    """Return an image (h, w) without uneven ice and the grey of carbon: less its mean under a wide Gaussian."""
    return image - scipy.ndimage.gaussian_filter(image, diameter_px)


def is_hollow(profile: np.ndarray) -> bool:
    """Whether the mean of the inner part of a profile, at equal steps of the radius, is low."""
    radii = RADIUS_STEP * np.arange(N_RADII)
    inner = np.where(radii < INNER_RADIUS, radii, 0)
    return bool((profile * inner).sum() / inner.sum() < HOLLOW_SHARE * profile.max())


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


def rim(profile: np.ndarray) -> float:
    """Return the radius at which the outermost flank of a profile falls to a share of its height."""
    height = profile / profile.max()
    last = int(np.flatnonzero(height >= RIM_LEVEL)[-1])
    after = height[last + 1] if last + 1 < len(height) else 0.0
    return RADIUS_STEP * (last + (height[last] - RIM_LEVEL) / (height[last] - after))


def elliptical_radii(instances: np.ndarray) -> np.ndarray:
    """Return the distance (h, w) of every pixel from its particle; 1 on the ellipse of the outline's moments.

    Infinite far from all particles.
    """
    radii = np.full(instances.shape, np.inf, dtype=np.float32)
    for number, place in enumerate(scipy.ndimage.find_objects(instances), start=1):
        if place is None:
            continue
        yx = np.argwhere(instances[place] == number)
        if len(yx) >= LEAST_PIXELS:
            _add_radii(radii, yx + [side.start for side in place])
    return radii


def _add_radii(radii: np.ndarray, yx: np.ndarray) -> None:
    center, moments = yx.mean(axis=0), np.cov(yx.T) + np.eye(2) / 12
    reach = np.ceil(2 * RADIUS_STEP * N_RADII * np.sqrt(np.diag(moments)))
    first = np.maximum(np.floor(center - reach), 0).astype(int)
    last = np.minimum(np.ceil(center + reach) + 1, radii.shape).astype(int)
    window = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    offsets = np.indices(radii[window].shape).reshape(2, -1) + first[:, None] - center[:, None]
    # an ellipse of moments M has the outline x' M⁻¹ x = 4
    squared = (offsets * np.linalg.solve(moments, offsets)).sum(axis=0) / 4
    radii[window] = np.minimum(radii[window], np.sqrt(squared).reshape(radii[window].shape))
