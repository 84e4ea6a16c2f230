"""Sets of particles for the comparison of resolutions: poses of particles, and members of sets.

On simulated micrographs, a true pick gets the angles and the offset of its particle, as from a perfect refinement, and
a false pick gets random angles, as junk in a refinement. On real micrographs, the poses are those of a refinement.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
import scipy
from scipy.spatial.transform import Rotation

from crisp_core.errors import UserError
from crisp_core.evaluation.matching import MATCH_FRACTION, match_one_to_one
from crisp_core.formats.coordinates.names import matched_column
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.poses import ANGLE_LABELS, ORIGIN_LABELS
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.formats.relion_labels import CTF_LABELS
from crisp_core.geometry import Shape
from crisp_core.reconstruction.half_maps import HALF
from crisp_core.seeds import named_rng

# Sets of a simulated run: picks of the experiment, true particles, and positions without particles.
PICKS, TRUTH, FALSE = "picks", "truth", "false"
SET, TRUE = "crispSet", "crispTrue"
# Number of random positions per false pick.
TRIES = 50
RLN_ANGLES, RLN_ORIGINS = list(ANGLE_LABELS.values()), list(ORIGIN_LABELS.values())


def simulated_particles(
    picks: Mapping[str, pd.DataFrame],
    truth: pd.DataFrame,
    shapes: Mapping[str, Shape],
    *,
    false_share: float,
    diameter_px: float,
    pixel_size: float,
    seed: int,
) -> pd.DataFrame:
    """Return all particles for the sets, with poses: picks, true particles, and positions without particles.

    Parameters
    ----------
    picks : mapping of set to DataFrame
        Columns micrograph, x, y, score; in px of the micrographs.
    truth : DataFrame
        True particles: columns micrograph, x, y, score, RELION's angles and defocus, one defocus per micrograph.
    shapes : mapping of micrograph to (height, width)
        Micrographs to use, with their shapes.
    false_share : float
        Number of false picks per true particle.
    diameter_px : float
        Particle diameter in px. True picks are matched one to one within half of it; false picks are at least that far
        from all particles.
    pixel_size : float
        Pixel size of the micrographs, Å/px.
    seed : int
        Seed of the false picks.

    Returns
    -------
    DataFrame
        Results of `posed_picks` with the column `SET`, one micrograph after the other.
    """
    reach_px, nothing = MATCH_FRACTION * diameter_px, truth.iloc[:0]
    # an empty table, for a batch without any of these micrographs
    parts = [posed_picks(nothing, nothing, reach_px=reach_px, pixel_size=pixel_size).assign(**{SET: ""})]
    for name, shape in shapes.items():
        true = truth[truth["micrograph"] == name]
        xy = true[["x", "y"]].to_numpy(dtype=float)
        n_false = int(np.ceil(false_share * len(true)))
        places = draw_empty_positions(
            xy, shape, n_false, min_distance_px=reach_px, rng=named_rng(seed, name, "false picks")
        )
        empty = pd.DataFrame(places, columns=["x", "y"]).assign(micrograph=name, score=np.nan)
        own = {set_name: table[table["micrograph"] == name] for set_name, table in picks.items()}
        for set_name, table in {TRUTH: true, **own, FALSE: empty}.items():
            posed = posed_picks(table, true, reach_px=reach_px, pixel_size=pixel_size)
            parts.append(posed.assign(**{SET: set_name}))
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def posed_picks(picks: pd.DataFrame, truth: pd.DataFrame, *, reach_px: float, pixel_size: float) -> pd.DataFrame:
    """Add poses and CTF to the picks of one micrograph, from the matched true particles.

    Parameters
    ----------
    picks, truth : DataFrame
        Picks and true particles, as in `simulated_particles`.
    reach_px : float
        Maximum distance of a true pick from its particle in px.
    pixel_size : float
        Pixel size of the micrograph, Å/px.

    Returns
    -------
    DataFrame
        Columns micrograph, x, y (truncated to the pixel in the middle of the box), score, `TRUE` (0 or 1), RELION's
        angles (0 for a false pick), origins (Å) of the particle relative to that pixel, and defocus. The table has no
        rows if the micrograph has no true particle, since its defocus is then unknown.
    """
    xy, true_xy = (table[["x", "y"]].to_numpy(dtype=float) for table in (picks, truth))
    pairs = match_one_to_one(true_xy, xy, max_distance_px=reach_px)
    angles, origin = np.zeros((len(xy), 3)), np.zeros((len(xy), 2))
    angles[pairs.pick] = truth[RLN_ANGLES].to_numpy(dtype=float)[pairs.truth]
    origin[pairs.pick] = pixel_size * (np.trunc(xy[pairs.pick]) - true_xy[pairs.truth])
    posed = picks[["micrograph", "x", "y", "score"]].reset_index(drop=True)
    posed[["x", "y"]] = np.trunc(xy)
    posed[TRUE] = np.isin(np.arange(len(xy)), pairs.pick).astype(int)
    posed[RLN_ANGLES], posed[RLN_ORIGINS] = angles, origin
    if truth.empty:
        return posed.iloc[:0].assign(**dict.fromkeys(CTF_LABELS, 0.0))
    return posed.assign(**{label: truth[label].iloc[0] for label in CTF_LABELS})


def draw_empty_positions(
    truth_xy: np.ndarray, shape: Shape, n: int, *, min_distance_px: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw uniform positions (m, 2) with a minimum distance from every true particle.

    Parameters
    ----------
    truth_xy : (k, 2) array
        Positions of true particles in px.
    shape : (height, width)
        Shape of the micrograph in px.
    n : int
        Maximum number of positions; there are fewer if the particles leave no room.
    min_distance_px : float
        Minimum distance from true particles in px.
    rng : numpy Generator
        Source of random numbers.
    """
    xy = rng.uniform(0, (shape[1] - 1, shape[0] - 1), (n * TRIES, 2))
    if not len(truth_xy):
        return xy[:n]
    distance, _ = scipy.spatial.cKDTree(truth_xy).query(xy)
    return xy[distance > min_distance_px + np.sqrt(2)][:n]


def read_pick_sets(picks: str, others: Mapping[str, Sequence[str]], micrographs: list[str]) -> dict[str, pd.DataFrame]:
    """Read the picks of a run and the coordinate files of other pickers, as sets by name.

    Parameters
    ----------
    picks : str
        Star file of the run's picks.
    others : mapping of set to sequence of str
        Coordinate files of other pickers.
    micrographs : list of str
        Names of the dataset's micrographs, with which those in the files are matched.
    """
    sets = {PICKS: read_coordinates_star(picks)}
    for name, paths in others.items():
        table = pd.concat([read_coordinates(path) for path in paths], ignore_index=True)
        source = f"resolution/picks/{name}"
        matched = matched_column(table["micrograph"], micrographs, source=source, skip_doubtful=True)
        sets[name] = table.assign(micrograph=matched)
    return sets


def particle_sets(
    particles: pd.DataFrame,
    names: Collection[str],
    *,
    false_shares: Mapping[str, float],
    n_particles: int | None,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """Draw sets of equal size: random subsets with random half sets; false picks get random angles.

    Parameters
    ----------
    particles : DataFrame
        All particles with the column `SET`, in the order of their stacks.
    names : collection of str
        Sets to draw.
    false_shares : mapping of set to share
        Sets of true particles of which this share is replaced by positions without particles.
    n_particles : int or None
        Size of the sets; None for the size of the smallest one.
    seed : int
        Seed of subsets, half sets and random angles.

    Returns
    -------
    dict of set to DataFrame
        Particles in the given order, with `HALF` 1 or 2; half sets of a refinement are kept.

    Raises
    ------
    UserError
        If a set is smaller than `n_particles` or has fewer than two particles, or there are too few false picks.
    """
    own = [name for name in names if name not in false_shares]
    sizes = particles[SET].value_counts().reindex(own, fill_value=0)
    n = int(sizes.min()) if n_particles is None else n_particles
    if n > sizes.min() or n < 2:
        raise UserError(
            f"resolution/n_particles: is {n}, but the set {sizes.idxmin()} has {sizes.min()} particles and a set needs "
            "at least 2; change it, resolution/part or the threshold of the picks"
        )
    counts = {name: {name: n} for name in own}
    for name, share in false_shares.items():
        counts[name] = {TRUTH: n - round(share * n), FALSE: round(share * n)}
    sets = {}
    for name in names:
        rng = named_rng(seed, name, "subset and halves")
        chosen = [_draw_rows(particles[particles[SET] == part], size, rng) for part, size in counts[name].items()]
        sets[name] = assign_halves(pd.concat(chosen).sort_index(), rng)
    return sets


def _draw_rows(rows: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    if n > len(rows):
        raise UserError(
            f"resolution/false_shares: need {n} false picks, but there is room for {len(rows)}; "
            "lower them or n_particles"
        )
    return rows.iloc[rng.permutation(len(rows))[:n]]


def assign_halves(particles: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Assign random half sets of equal size, unless all particles have one, and random angles to false picks."""
    angles = Rotation.random(len(particles), rng=rng).as_euler("ZYZ", degrees=True)
    halves = rng.permutation(np.arange(len(particles)) % 2 + 1)
    given = HALF in particles and set(particles[HALF]) == {1, 2}
    particles = particles.assign(**{} if given else {HALF: halves})
    false = (particles[TRUE] == 0).to_numpy()
    particles.loc[false, RLN_ANGLES] = angles[false]
    return particles
