"""Statements of persons about the picks of a micrograph: what each one says, and where two contradict each other."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from crisp_core.formats.corrections import MicrographCorrections, covered, near_points, points

NO_NAME = "the author without a name"


class Statement(NamedTuple):
    """Statement of one person about a micrograph; positions (n, 2) in pixels of the original micrograph."""

    author: str
    added: np.ndarray
    """Particles that the person placed: added, and the new positions of moved ones."""
    kept: np.ndarray
    """Picks that the person left as they were, outside of junk."""
    removed: np.ndarray
    """Picks that the person removed, or covered with junk."""
    given: MicrographCorrections


def statement_of(author: str, one: MicrographCorrections, same_px: float) -> Statement:
    """Particles and removed picks of one person's entry.

    Picks in junk are removed, also added and moved ones, and so is the old place of a pick that was moved far.

    Parameters
    ----------
    author : str
        Name of the person; empty if the file has none.
    one : MicrographCorrections
        Entry of a micrograph.
    same_px : float
        Distance within which two positions are one particle, in px.
    """
    kept, moved = points(one.kept), points(one.moved, 4)
    added = np.concatenate([points(one.added), moved[:, 2:]])
    kept_in_junk, added_in_junk = covered(kept, one.junk), covered(added, one.junk)
    old_places = moved[np.hypot(*(moved[:, 2:] - moved[:, :2]).T) > same_px, :2]
    removed = np.concatenate([points(one.removed), old_places, kept[kept_in_junk], added[added_in_junk]])
    return Statement(author or NO_NAME, added[~added_in_junk], kept[~kept_in_junk], removed, one)


def united(statements: Sequence[Statement], same_px: float) -> np.ndarray:
    """Positions (n, 2) of all authors, placed ones first; one within `same_px` of another author's is left out."""
    groups = [(i, xy) for key in ("added", "kept") for i, one in enumerate(statements) for xy in [getattr(one, key)]]
    found, authors = np.zeros((0, 2)), np.zeros(0, dtype=int)
    for author, xy in groups:
        new = xy[~near_points(xy, found[authors != author], same_px)]
        found, authors = np.concatenate([found, new]), np.concatenate([authors, np.full(len(new), author)])
    return found


def says_particle(one: Statement, xy: np.ndarray, same_px: float) -> np.ndarray:
    """Mask of the positions that a person states to be particles: placed, or kept on a reviewed micrograph.

    Parameters
    ----------
    one : Statement
        Statement of the person.
    xy : (n, 2) array
        Positions, in px.
    same_px : float
        Distance within which two positions are one particle, in px.
    """
    stated = np.concatenate([one.added, one.kept]) if one.given.reviewed else one.added
    return near_points(xy, stated, same_px)


def says_none(one: Statement, xy: np.ndarray, same_px: float) -> np.ndarray:
    """Mask of the positions where a person removed a pick or brushed junk, and has no particle of their own.

    Parameters
    ----------
    one : Statement
        Statement of the person.
    xy : (n, 2) array
        Positions, in px.
    same_px : float
        Distance within which two positions are one particle, in px.
    """
    own = near_points(xy, np.concatenate([one.added, one.kept]), same_px)
    return (near_points(xy, one.removed, same_px) | covered(xy, one.given.junk)) & ~own


def disputes(statements: Sequence[Statement], xy: np.ndarray, said: np.ndarray, against: np.ndarray) -> Iterator[str]:
    """Sentences about positions that one person states to be particles and another one states not to be.

    Parameters
    ----------
    statements : sequence of Statement
        One per author.
    xy : (n, 2) array
        Positions, in px.
    said, against : (authors, n) bool arrays
        Authors who state that there is a particle, and that there is none.
    """
    for (x, y), yes, no in zip(xy, said.T, against.T, strict=True):
        if yes.any() and no.any():
            names = [statements[int(votes.argmax())].author for votes in (yes, no)]
            yield f"at {x:.0f}, {y:.0f} {names[0]} has a particle and {names[1]} has none; the position is ignored"
