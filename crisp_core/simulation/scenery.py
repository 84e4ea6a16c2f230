"""What a micrograph shows beside its particles: carbon, contaminants, aggregates, uneven ice, and coloured noise.

Amounts of matter are in particles: 1 is the mean projected density of a particle over a disc of its diameter. Matter
is projected density, which the CTF turns into contrast with fringes, and thick matter absorbs, too, which is contrast
without them. Every element has its own random stream, so switching one off changes no other.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy.fft

from crisp_core.classes import CARBON, CONTAMINANT
from crisp_core.geometry import FFT_THREADS, Shape, angstrom_to_px
from crisp_core.seeds import named_rng

Settings = Mapping[str, Any]
# Directions in which a contaminant's outline is given.
OUTLINE_ANGLES = np.linspace(-np.pi, np.pi, 72, endpoint=False)
# Share of an ice crystal's radius over which it thins out; a bead is thickest in its middle only.
ICE_BEVEL, BEAD_BEVEL = 0.4, 1.0
# Waves that a hole's edge and the ice's thickness are made of.
EDGE_WAVES, GRADIENT_WAVES = 6, 12
# Power of the noise's coloured part at a frequency s: (1 + (s length)²) to minus this.
COLOUR_EXPONENT = 1.5


class Carbon(NamedTuple):
    """Carbon film around a round hole."""

    x: float  # centre of the hole, px
    y: float
    radius_px: float
    waves: np.ndarray  # (k, 3): amplitude in px, periods per turn, and phase of the edge's unevenness


class Contaminant(NamedTuple):
    """Something dark that lies on the ice."""

    x: float  # px
    y: float
    radii_px: np.ndarray  # of the outline, at OUTLINE_ANGLES
    density: float  # where it is thickest, in particles
    bevel: float  # share of the radius, squared, over which it thins out
    absorption: float  # share of the density that absorbs
    texture: float  # standard deviation of the grain, as a share of the density
    grain_px: float


class Scenery(NamedTuple):
    """What is where on one micrograph, and what it is made of."""

    carbon: Carbon | None
    contaminants: tuple[Contaminant, ...]
    aggregates: np.ndarray  # (n, 2): x, y in px of every particle of every aggregate


def element_rng(element: str, *, seed: int, name: str) -> np.random.Generator:
    """Random stream of one element of a micrograph's scenery; independent of the others and of the particles'."""
    return named_rng(seed, name, f"scenery {element}")


def draw_scenery(
    shape: Shape, settings: Settings, *, pixel_size: float, diameter_px: float, seed: int, name: str
) -> Scenery:
    """Draw what stands where on a micrograph.

    Parameters
    ----------
    shape : (int, int)
        Height and width in px.
    settings : mapping
        The config's section `scenery`.
    pixel_size : float
        Å/px.
    diameter_px : float
        Of a particle.
    seed : int
    name : str
        Micrograph; with `seed` it determines every draw.
    """
    elements = ("carbon", "ice", "ethane", "aggregates")
    rng = {element: element_rng(element, seed=seed, name=name) for element in elements}
    ice, ethane = settings["ice"], settings["ethane"]
    contaminants = [
        draw_contaminant(shape, ice, pixel_size=pixel_size, crystal=True, rng=rng["ice"])
        for _ in range(_count(ice["n_per_micrograph"], rng["ice"]))
    ] + [
        draw_contaminant(shape, ethane, pixel_size=pixel_size, crystal=False, rng=rng["ethane"])
        for _ in range(_count(ethane["n_per_micrograph"], rng["ethane"]))
    ]
    return Scenery(
        draw_carbon(shape, settings["carbon"], pixel_size=pixel_size, rng=rng["carbon"]),
        tuple(contaminants),
        draw_aggregates(shape, settings["aggregates"], diameter_px=diameter_px, rng=rng["aggregates"]),
    )


def draw_carbon(shape: Shape, settings: Settings, *, pixel_size: float, rng: np.random.Generator) -> Carbon | None:
    """Draw a carbon film that covers about a drawn share of the micrograph from one side, or none.

    Settings: probability, area_share, hole_radius_angstrom, edge_waviness_angstrom.
    """
    if rng.random() >= settings["probability"]:
        return None
    direction, share = rng.uniform(-np.pi, np.pi), rng.uniform(*settings["area_share"])
    radius = angstrom_to_px(settings["hole_radius_angstrom"], pixel_size)
    towards = np.array([np.cos(direction), np.sin(direction)])
    extent = np.abs(towards) @ (shape[1], shape[0])
    x, y = np.array([shape[1] - 1, shape[0] - 1]) / 2 + towards * ((0.5 - share) * extent - radius)
    # Waves of 300 to 3,000 Å along the edge.
    periods = np.rint(2 * np.pi * settings["hole_radius_angstrom"] / np.geomspace(300, 3000, EDGE_WAVES))
    amplitude = angstrom_to_px(settings["edge_waviness_angstrom"], pixel_size) * np.sqrt(2 / EDGE_WAVES)
    phases = rng.uniform(-np.pi, np.pi, EDGE_WAVES)
    return Carbon(x, y, radius, np.column_stack([np.full(EDGE_WAVES, amplitude), np.maximum(periods, 1), phases]))


def carbon_depth(carbon: Carbon, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance in px from the edge of the hole, positive on the carbon, of positions that broadcast."""
    x, y = np.asarray(x - carbon.x, dtype=np.float32), np.asarray(y - carbon.y, dtype=np.float32)
    angle = np.arctan2(y, x)
    depth = np.hypot(x, y) - np.float32(carbon.radius_px)
    for amplitude, periods, phase in carbon.waves.astype(np.float32):
        depth += amplitude * np.cos(periods * angle + phase)
    return depth


def draw_contaminant(
    shape: Shape, settings: Settings, *, pixel_size: float, crystal: bool, rng: np.random.Generator
) -> Contaminant:
    """Draw an ice crystal (an uneven hexagon) or a bead of ethane (round), with its centre on the micrograph.

    Settings: diameter_angstrom, density, absorption, texture and grain_angstrom.
    """
    x, y = rng.uniform(0, (shape[1] - 1, shape[0] - 1))
    # Small ones are more frequent than large ones.
    diameter = np.exp(rng.uniform(*np.log(settings["diameter_angstrom"])))
    radius = angstrom_to_px(diameter, pixel_size) / 2
    density, turn = rng.uniform(*settings["density"]), rng.uniform(0, np.pi)
    outline = np.ones_like(OUTLINE_ANGLES)
    if crystal:
        corners = np.mod(OUTLINE_ANGLES + turn, np.pi / 3) - np.pi / 6
        outline = np.cos(np.pi / 6) / np.cos(corners)
        for periods in (1, 2, 3, 5):
            outline += rng.normal(0, 0.05) * np.cos(periods * OUTLINE_ANGLES + rng.uniform(-np.pi, np.pi))
    bevel = ICE_BEVEL if crystal else BEAD_BEVEL
    grain_px = angstrom_to_px(settings["grain_angstrom"], pixel_size)
    inside = density, bevel, settings["absorption"], settings["texture"], grain_px
    return Contaminant(x, y, radius * np.clip(outline, 0.4, 1.4), *inside)


def contaminant_radius(contaminant: Contaminant, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of positions from a contaminant's centre, and its radius in their direction, in px."""
    angle = np.arctan2(y - contaminant.y, x - contaminant.x)
    radius = np.interp(angle, OUTLINE_ANGLES, contaminant.radii_px, period=2 * np.pi)
    return np.hypot(x - contaminant.x, y - contaminant.y), radius


def draw_aggregates(shape: Shape, settings: Settings, *, diameter_px: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the particles (n, 2) of clumps: each touches one that is there already, at less than a diameter.

    Settings: n_per_micrograph, n_particles (each clump's), spacing_diameters.
    """
    xy = []
    for _ in range(_count(settings["n_per_micrograph"], rng)):
        clump = [rng.uniform(0, (shape[1] - 1, shape[0] - 1))]
        for _ in range(_count(settings["n_particles"], rng) - 1):
            angle = rng.uniform(-np.pi, np.pi)
            step = settings["spacing_diameters"] * diameter_px * np.array([np.cos(angle), np.sin(angle)])
            clump.append(clump[rng.integers(len(clump))] + step)
        xy += clump
    return np.array(xy, dtype=float).reshape(-1, 2)


def leaves_room(
    scenery: Scenery, xy: np.ndarray, *, diameter_px: float, on_carbon: float, rng: np.random.Generator
) -> bool:
    """Say whether a particle may stand at a position (x, y).

    It keeps half a diameter from contaminants and a diameter from every particle of an aggregate. Half a diameter from
    carbon and nearer, `on_carbon` of all positions are let through.
    """
    if len(scenery.aggregates) and ((scenery.aggregates - xy) ** 2).sum(axis=1).min() < diameter_px**2:
        return False
    for contaminant in scenery.contaminants:
        distance, radius = contaminant_radius(contaminant, *xy)
        if distance < radius + diameter_px / 2:
            return False
    if scenery.carbon is None or carbon_depth(scenery.carbon, *xy) <= -diameter_px / 2:
        return True
    return bool(rng.random() < on_carbon)


def matter(
    scenery: Scenery, canvas: Shape, settings: Settings, *, offset_px: int, pixel_size: float, seed: int, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Projected density of solvent, carbon and contaminants, and the part of it that absorbs.

    Parameters
    ----------
    scenery : Scenery
    canvas : (int, int)
        Shape of the results.
    settings : mapping
        The config's section `scenery`.
    offset_px : int
        Pixel of the canvas on which the micrograph's first one lies, in both directions.
    pixel_size : float
        Å/px.
    seed : int
    name : str
        As in `draw_scenery`, for the grain.

    Returns
    -------
    two float32 arrays
        In particles.
    """
    density = np.zeros(canvas, dtype=np.float32)
    absorbed = np.zeros(canvas, dtype=np.float32)
    carbon = settings["carbon"]
    if scenery.carbon is not None:
        edge_px = angstrom_to_px(carbon["edge_angstrom"], pixel_size)
        film = carbon_film(scenery.carbon, canvas, offset_px=offset_px, edge_px=edge_px)
        absorbed += film * np.float32(carbon["absorption"] * carbon["density"])
        rng = element_rng("carbon_grain", seed=seed, name=name)
        texture = grain(canvas, carbon["texture"], angstrom_to_px(carbon["grain_angstrom"], pixel_size), rng)
        density += film * (texture + np.float32(carbon["density"]))
    solvent = settings["solvent"]
    if solvent["texture"]:
        rng = element_rng("solvent", seed=seed, name=name)
        density += grain(canvas, solvent["texture"], angstrom_to_px(solvent["grain_angstrom"], pixel_size), rng)
    rng = element_rng("grain", seed=seed, name=name)
    for contaminant in scenery.contaminants:
        window, thickness = contaminant_thickness(contaminant, canvas, offset_px=offset_px)
        thickness = contaminant.density * thickness
        absorbed[window] += contaminant.absorption * thickness
        density[window] += thickness * (1 + grain(thickness.shape, contaminant.texture, contaminant.grain_px, rng))
    return density, absorbed


def carbon_film(carbon: Carbon, canvas: Shape, *, offset_px: int, edge_px: float) -> np.ndarray:
    """Thickness of the film, 0 to 1 over `edge_px`, on a canvas as in `matter`."""
    y, x = np.ogrid[-offset_px : canvas[0] - offset_px, -offset_px : canvas[1] - offset_px]
    depth = np.hypot(np.float32(x - carbon.x), np.float32(y - carbon.y)) - np.float32(carbon.radius_px)
    edge_px = max(edge_px, 1.0)
    # The waves matter near the edge only, and are slow.
    rows, columns = np.nonzero(np.abs(depth) < carbon.waves[:, 0].sum() + edge_px)
    depth[rows, columns] = carbon_depth(carbon, columns - offset_px, rows - offset_px)
    return np.clip(depth / np.float32(edge_px) + np.float32(0.5), 0, 1)


def contaminant_thickness(
    contaminant: Contaminant, canvas: Shape, *, offset_px: int = 0
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Window of a canvas as in `matter`, and the contaminant's thickness in it, 0 to 1."""
    reach = contaminant.radii_px.max() + 1
    rows, columns = (
        slice(*np.clip([int(at + offset_px - reach), int(at + offset_px + reach) + 2], 0, side))
        for at, side in zip((contaminant.y, contaminant.x), canvas, strict=True)
    )
    y, x = np.ogrid[
        rows.start - offset_px : rows.stop - offset_px, columns.start - offset_px : columns.stop - offset_px
    ]
    distance, radius = contaminant_radius(contaminant, x, y)
    thickness = np.sqrt(np.clip((1 - (distance / radius) ** 2) / contaminant.bevel, 0, 1))
    return (rows, columns), thickness.astype(np.float32)


def class_map(scenery: Scenery, shape: Shape, aggregated: np.ndarray | None = None) -> np.ndarray:
    """Class of each pixel of a micrograph: 0 where only ice and particles are, contaminant (2), carbon (3).

    Contaminants and aggregates lie on the carbon. `aggregated` is True (h, w) where aggregates are.
    """
    classes = np.zeros(shape, dtype=np.uint8)
    if scenery.carbon is not None:
        classes[carbon_film(scenery.carbon, shape, offset_px=0, edge_px=1.0) > 0.5] = CARBON
    for contaminant in scenery.contaminants:
        window, thickness = contaminant_thickness(contaminant, shape)
        classes[window][thickness > 0] = CONTAMINANT
    if aggregated is not None:
        classes[aggregated] = CONTAMINANT
    return classes


def grain(shape: Shape, sd: float, grain_px: float, rng: np.random.Generator) -> np.ndarray:
    """White noise behind a Gaussian of standard deviation `grain_px`, scaled to a standard deviation `sd`.

    Where the grain is finer than a pixel, the part of the noise within the band of the pixels is left: what the same
    material shows at another pixel size is the same material.
    """
    spectrum = scipy.fft.rfft2(rng.standard_normal(shape, dtype=np.float32), workers=FFT_THREADS)
    for axis, frequency in enumerate((scipy.fft.fftfreq(shape[0]), scipy.fft.rfftfreq(shape[1]))):
        spectrum *= np.expand_dims(np.exp(-2 * (np.pi * grain_px * frequency) ** 2).astype(np.float32), 1 - axis)
    noise = scipy.fft.irfft2(spectrum, s=shape, workers=FFT_THREADS, overwrite_x=True)
    # Variance of white noise under a normalised Gaussian is 1 / (4 π σ²).
    return noise * np.float32(sd * 2 * np.sqrt(np.pi) * grain_px)


def uneven_ice(shape: Shape, *, length_px: float, rng: np.random.Generator) -> np.ndarray:
    """Slow random field (h, w): waves in random directions, none shorter than `length_px`, of expected variance 1."""
    frequency = np.sqrt(rng.uniform(0, 1, GRADIENT_WAVES)) / length_px
    direction, phase = rng.uniform(-np.pi, np.pi, (2, GRADIENT_WAVES))
    rows = np.exp(2j * np.pi * frequency * np.sin(direction) * np.arange(shape[0])[:, None] + 1j * phase)
    columns = np.exp(2j * np.pi * frequency * np.cos(direction) * np.arange(shape[1])[:, None])
    rows, columns = rows.astype(np.complex64), columns.astype(np.complex64)
    return (rows @ columns.T).real * np.float32(np.sqrt(2 / GRADIENT_WAVES))


def coloured(
    white: np.ndarray, *, pixel_size: float, coloured_share: float, length_angstrom: float, falloff_angstrom: float
) -> np.ndarray:
    """Colour white noise: a part that falls with frequency as ice's does, and a detector that blurs.

    Power at frequency s: (a + b (1 + (s length)²)^-3/2) exp(-(s falloff)²).

    Parameters
    ----------
    white : (h, w) float32 array
        White noise; returned as it is where the next and the falloff are 0.
    pixel_size : float
        Å/px.
    coloured_share : float
        Share of the variance that is the falling part, before the detector.
    length_angstrom : float
        Å; its power falls from there to finer detail.
    falloff_angstrom : float
        Å; at this resolution the detector leaves 1/e of the power.

    Returns
    -------
    (h, w) float32 array
        With the variance of `white` about 0.
    """
    if coloured_share == 0 and falloff_angstrom == 0:
        return white
    fy = scipy.fft.fftfreq(white.shape[0], pixel_size).astype(np.float32)[:, None]
    s2 = fy**2 + scipy.fft.rfftfreq(white.shape[1], pixel_size).astype(np.float32) ** 2
    falling = (1 + s2 * np.float32(length_angstrom**2)) ** np.float32(-COLOUR_EXPONENT)
    falling *= np.float32(coloured_share) / falling.mean(dtype=float)
    amplitude = np.sqrt(falling + np.float32(1 - coloured_share)) * np.exp(s2 * np.float32(-(falloff_angstrom**2) / 2))
    amplitude[0, 0] = 0
    spectrum = scipy.fft.rfft2(white, workers=FFT_THREADS)
    noise = scipy.fft.irfft2(spectrum * amplitude, s=white.shape, workers=FFT_THREADS, overwrite_x=True)
    return noise * np.float32(np.sqrt(np.mean(white**2, dtype=float) / np.mean(noise**2, dtype=float)))


def _count(bounds: tuple[int, int], rng: np.random.Generator) -> int:
    return int(rng.integers(bounds[0], bounds[1] + 1))
