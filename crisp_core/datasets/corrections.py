"""Corrections of several files as one statement for each micrograph."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from crisp_core.datasets.splits import REST, split_by_counts, split_by_lists
from crisp_core.datasets.statements import Statement, disputes, says_none, says_particle, statement_of, united
from crisp_core.errors import UserError
from crisp_core.formats.coordinates.table import coordinates_table
from crisp_core.formats.corrections import Corrections, MicrographCorrections, Stroke, near_points, read_corrections
from crisp_core.paths import Patterns, matching_files

# two positions within this distance are one particle, in particle diameters
SAME_DIAMETERS = 0.5
# number of corrected micrographs for each one of the validation part
PER_VALIDATION = 4


class Corrected(NamedTuple):
    """Final particles and areas of a micrograph, in pixels of the original micrograph."""

    particles: np.ndarray
    """(n, 2) positions of the particles."""
    placed: np.ndarray
    """(n,) bool: particles that a person added or moved."""
    removed: np.ndarray
    """(m, 2) picks that are not particles."""
    disputed: np.ndarray
    """(d, 2) positions on which two persons contradict each other."""
    junk: list[Stroke]
    unsure: list[Stroke]
    reviewed: bool
    bad: bool
    experiments: list[str]
    """Experiments whose picks were corrected."""
    given: MicrographCorrections
    """Entry of the file that was saved last, for shape and pixel size."""

    @property
    def digest(self) -> str:
        """Digest of all that labels and truth depend on."""
        arrays = [array.round(3).tolist() for array in (self.particles, self.removed, self.disputed)]
        areas = [[stroke.plain() for stroke in area] for area in (self.junk, self.unsure)]
        facts = [arrays, areas, self.placed.tolist(), self.reviewed, self.bad, self.given.shape_px]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


class Merged(NamedTuple):
    """Corrected micrographs by name, and sentences about contradictions between persons."""

    micrographs: dict[str, Corrected]
    notices: list[str]


def read_merged(patterns: Patterns, *, diameter_angstrom: float) -> Merged:
    """Read and merge the files of one dataset.

    Parameters
    ----------
    patterns : str or sequence of str
        Paths and globs of the files.
    diameter_angstrom : float
        Particle diameter, in Å.
    """
    files = [read_corrections(path) for path in matching_files(patterns)]
    return merge_corrections(files, diameter_angstrom=diameter_angstrom)


def unchanged(merged: Merged, digests: Mapping[str, str]) -> dict[str, Corrected]:
    """Corrected micrographs with known digests, by name.

    Raises
    ------
    UserError
        If a file of corrections was changed since the digests were computed.
    """
    found = {name: one for name, one in merged.micrographs.items() if name in digests}
    if {name: one.digest for name, one in found.items()} != dict(digests):
        raise UserError("corrections: a file was changed while the workflow ran; call the same command again")
    return found


def merge_corrections(files: Sequence[Corrections], *, diameter_angstrom: float) -> Merged:
    """Merge the files of several persons.

    Of one author and micrograph, the entry that was saved last counts. The changes of all authors are united. If one
    author states that there is a particle at a position, and another one that there is none, the position is ignored in
    training and in the truth. Unchanged picks of a micrograph that the author did not mark as reviewed state nothing.

    Parameters
    ----------
    files : sequence of Corrections
        Files of one dataset.
    diameter_angstrom : float
        Particle diameter, in Å.
    """
    merged, notices = {}, []
    for name, entries in latest_entries(files).items():
        same_px = SAME_DIAMETERS * diameter_angstrom / next(iter(entries.values()))[0].pixel_size_angstrom
        experiments = sorted({experiment for _, experiment in entries.values()})
        statements = [statement_of(author, one, same_px) for author, (one, _) in entries.items()]
        merged[name], found = merge_statements(statements, experiments, same_px=same_px)
        notices += [f"corrections of {name}: {sentence}" for sentence in found]
    return Merged(merged, [*notices, *nameless_notices(files)])


def nameless_notices(files: Sequence[Corrections]) -> list[str]:
    """Line about a micrograph in several files without an author, since the last of them alone counts."""
    counts = Counter(one.micrograph for file in files if not file.author for one in file.micrographs)
    several = sorted(name for name, n in counts.items() if n > 1)
    if not several:
        return []
    return [
        f"corrections of {several[0]}: {counts[several[0]]} files without a name correct it, of which the last counts "
        f"({len(several)} such micrographs); if they are of several persons, put their names into the files as author"
    ]


def latest_entries(files: Iterable[Corrections]) -> dict[str, dict[str, tuple[MicrographCorrections, str]]]:
    """Entry that counts, and its experiment, as {micrograph: {author: …}}; authors in the order of their last save."""
    found: dict[str, dict[str, tuple[MicrographCorrections, str]]] = {}
    for file in sorted(files, key=lambda file: file.saved_at, reverse=True):
        for one in file.micrographs:
            found.setdefault(one.micrograph, {}).setdefault(file.author, (one, file.experiment))
    return dict(sorted(found.items()))


def merge_statements(
    statements: Sequence[Statement], experiments: list[str], *, same_px: float
) -> tuple[Corrected, list[str]]:
    """Unite the statements about one micrograph.

    Parameters
    ----------
    statements : sequence of Statement
        One per author, the latest save first.
    experiments : list of str
        Experiments whose picks were corrected.
    same_px : float
        Distance within which two positions are one particle, in px.
    """
    xy = united(statements, same_px)
    said = np.array([says_particle(one, xy, same_px) for one in statements])
    against = np.array([says_none(one, xy, same_px) for one in statements])
    disputed = said.any(axis=0) & against.any(axis=0)
    gone = against.any(axis=0) & ~disputed
    is_reviewed = any(one.given.reviewed for one in statements)
    # an unchanged pick is not a particle if only others reviewed the micrograph, and have none there
    left = ~disputed & ~gone & (said.any(axis=0) | (not is_reviewed))
    verdicts = {one.given.verdict for one in statements} - {None}
    placed = np.any([near_points(xy, one.added, same_px) for one in statements], axis=0)
    removed = np.concatenate([one.removed for one in statements])
    removed = removed[~near_points(removed, xy[disputed], same_px)]
    merged = Corrected(
        particles=xy[left],
        placed=placed[left],
        removed=removed,
        disputed=xy[disputed],
        junk=[stroke for one in statements for stroke in one.given.junk],
        unsure=[stroke for one in statements for stroke in one.given.unsure],
        reviewed=is_reviewed,
        bad="bad" in verdicts,
        experiments=experiments,
        given=statements[0].given,
    )
    notices = [*disputes(statements, xy, said, against), *silent_additions(statements, merged, same_px)]
    return merged, notices + (
        ["one author marked it as good and another one as bad; it is bad"] if len(verdicts) > 1 else []
    )


def silent_additions(statements: Sequence[Statement], merged: Corrected, same_px: float) -> Iterator[str]:
    """Sentences about particles that one person placed and another person, who reviewed the micrograph, does not have.

    Parameters
    ----------
    statements : sequence of Statement
        One per author.
    merged : Corrected
        United statements.
    same_px : float
        Distance within which two positions are one particle, in px.
    """
    placed = merged.particles[merged.placed]
    for one in statements:
        missing = ~near_points(placed, np.concatenate([one.added, one.kept]), same_px)
        if one.given.reviewed and missing.any():
            yield f"{one.author} reviewed it and has none of {missing.sum()} particles that others added; they are kept"


def check_shapes(merged: Mapping[str, Corrected], shapes: Mapping[str, tuple[int, int]], *, place: str) -> None:
    """Refuse corrections made on an image of another shape.

    Parameters
    ----------
    merged : mapping of str to Corrected
        Corrected micrographs, by name.
    shapes : mapping of str to (int, int)
        Rows and columns of the micrographs of the run, in px.
    place : str
        Key of the config that the error message names.
    """
    for name, one in merged.items():
        if name in shapes and tuple(one.given.shape_px) != tuple(shapes[name]):
            raise UserError(
                f"{place}: {name} had {one.given.shape_px} rows and columns when it was corrected, and has "
                f"{list(shapes[name])} in this run; correct it again on a page of this dataset"
            )


def corrected_coordinates(corrected: Mapping[str, Corrected]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Particles of corrected micrographs, and names, in the form of imported coordinates (`importing.Imported`)."""
    tables = [coordinates_table([name] * len(one.particles), *one.particles.T) for name, one in corrected.items()]
    empty = coordinates_table([], np.zeros(0), np.zeros(0))
    rows = [("corrections", name, name, len(one.particles)) for name, one in corrected.items()]
    names = pd.DataFrame(rows, columns=["path", "name", "micrograph", "n_coordinates"])
    return pd.concat([table for table in tables if len(table)] or [empty], ignore_index=True), names


def split_corrected(
    trusted: Mapping[str, bool], *, train: object, validation: object, seed: int, source: str
) -> pd.DataFrame:
    """Parts of the corrected micrographs: as listed; else one of four validates, and the others train.

    Only trusted micrographs validate, and at least one does. One alone trains and validates.

    Parameters
    ----------
    trusted : mapping of str to bool
        Corrected micrographs, and whether their unchanged area counts.
    train, validation : object
        Parts as the config gives them; only lists count.
    seed : int
        Seed of the draw.
    source : str
        Key of the config that the error message names.

    Returns
    -------
    DataFrame
        Columns micrograph, part.
    """
    if isinstance(train, list) and isinstance(validation, list):
        return split_by_lists(trusted, train=train, validation=validation, test=[])
    sure = [name for name, is_trusted in trusted.items() if is_trusted]
    if not sure:
        raise UserError(
            f"{source}: no corrected micrograph is marked as reviewed, and one is needed to choose the epoch and the "
            "threshold; go through one and mark it, or set trust to all"
        )
    n_validation = max(1, len(trusted) // PER_VALIDATION) if len(trusted) > 1 else 0
    n_validation = min(n_validation, len(sure))
    drawn = split_by_counts(sure, train=0, validation=n_validation, test=REST, seed=seed)
    chosen = drawn.loc[drawn["part"] == "validation", "micrograph"].tolist()
    training = sorted(set(trusted) - set(chosen))
    rows = [(name, "train") for name in training] + [(name, "validation") for name in chosen or sure]
    return pd.DataFrame(rows, columns=["micrograph", "part"])
