"""By-products: files of other programs in the folder of the micrographs, which a plain ``*.mrc`` also matches.

Other versions and links show the same particles again; power spectra, diagnostic images of CTF fits, thumbnails, gain
references and overviews show none. A file is recognised by its name and by a second sign, such as a micrograph of that
name.

Source: the file names of MotionCor2 and 3 (``_DW``, ``_DWS``, ``_EVN``, ``_ODD``, ``_Ctf``), RELION (``_noDW``,
``_PS``, ``_EVN``, ``_ODD``, ``.ctf``), CTFFIND (``_diag``), cryoSPARC (``_patch_aligned_doseweighted``,
``_background``, ``_thumb_@1x``), EPU (``FoilHole_…_Data_…``, ``GridSquare_…``) and SerialEM (``CountRef_…``).
"""

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from crisp_core.errors import UserError
from crisp_core.formats.mrc import mrc_shape
from crisp_core.formats.stems import micrograph_stem
from crisp_core.paths import Patterns, exact_paths, matching_files

# Versions of one image, the best one first: description, and the end of its name.
VERSIONS = (
    ("dose-weighted sum", r"_DW|_dose_?weighted"),
    ("sum of all frames", r""),
    ("dose-weighted sum of some frames", r"_DWS"),
    ("sum without dose weighting", r"_non?_?DW|_non?_?dose_?weighted|_unweighted"),
    ("denoised or deconvolved copy", r"_denoised|_deconv(olved)?"),
    ("sum of half the frames", r"_EVN|_even"),
    ("sum of half the frames", r"_ODD|_odd"),
)
PLAIN = 1
# Images computed from a micrograph, without particles: description, and the end of its name.
DERIVED = (
    ("power spectrum", r"_PS|_power_?spectrum"),
    ("diagnostic image of a CTF fit", r"\.ctf|_[Cc]tf|_diag|_ctffind\d?|_ctf_diag_2D"),
    ("background estimate", r"_background"),
    ("thumbnail", r"_thumb(_@\dx)?|_thumbnail"),
)
# cryoSPARC's name of the method, before the version; names of derived images lack it.
METHOD = re.compile(r"_(patch|rigid)_aligned$")
REFERENCE = re.compile(
    r"(^|[_\-. ])((gain|dark)([_-]?ref(erence)?)?|(count|super)_?ref|flat[_-]?field|defects?)([_\-. ]|$)", re.IGNORECASE
)
# References are few compared with the micrographs: at most one, or a tenth.
MAX_REFERENCES = 0.1
EPU_IMAGE = re.compile(r"^FoilHole_\d+_Data_")
EPU_OVERVIEW = re.compile(r"^(FoilHole_\d+_\d{8}_\d{6}|GridSquare_\d+.*|Atlas_\d+.*)$")


class Named(NamedTuple):
    """A file by its name: its micrograph, and its rank in `VERSIONS` or its kind in `DERIVED`."""

    path: str
    base: str
    version: int | None
    derived: str | None


def find_byproducts(
    paths: Sequence[str], *, exact: Collection[str] = (), known: Collection[str] = ()
) -> dict[str, str]:
    """Find files that are not micrographs to pick, each with the reason.

    Parameters
    ----------
    paths : sequence of str
        All files that the config's patterns match.
    exact : collection of str
        Files that the config names by their exact paths; they are always kept.
    known : collection of str
        Names (stems) of the micrographs of earlier calls. They are always kept, so that nothing is rerun; a better
        version that arrives later is left out.

    Returns
    -------
    dict
        {path: reason}, in the order of `paths`.
    """
    is_known = {path: micrograph_stem(path) in known for path in paths}
    now = _reasons(paths, is_known)
    before = _reasons([path for path in paths if is_known[path]], is_known)
    found = {path: (before if is_known[path] else now).get(path) for path in paths}
    named_exactly = {os.path.abspath(path) for path in exact}
    found |= {path: None for path in paths if os.path.abspath(path) in named_exactly}
    return {path: f"{reason}; name its exact path to pick it too" for path, reason in found.items() if reason}


def without_byproducts(patterns: Patterns) -> list[str]:
    """Files that paths or globs match, without by-products that none of them names exactly."""
    found = matching_files(patterns)
    gone = find_byproducts(found, exact=exact_paths(patterns))
    return [path for path in found if path not in gone]


def _same_file_reasons(paths: Sequence[str], is_known: Mapping[str, bool]) -> dict[str, str]:
    """Links to another matched file; known paths take precedence over files, and files over symbolic links."""
    first: dict[tuple[int, int], str] = {}
    reasons = {}
    for path in sorted(paths, key=lambda one: (not is_known[one], os.path.islink(one))):
        try:
            state = os.stat(path)
        except OSError:  # reported when the file is read
            continue
        other = first.setdefault((state.st_dev, state.st_ino), path)
        if other != path:
            reasons[path] = f"link to the same file as {other}"
    return reasons


def _reasons(paths: Sequence[str], is_known: Mapping[str, bool]) -> dict[str, str]:
    names = [named(path) for path in paths]
    images: dict[str, list[Named]] = defaultdict(list)
    for one in names:
        if one.version is not None:
            images[one.base].append(one)
    best = {base: min(group, key=lambda one: (not is_known[one.path], one.version)) for base, group in images.items()}
    versions = {
        one.path: f"{VERSIONS[one.version][0]}, of the same image as {Path(best[one.base].path).name}"
        for group in images.values()
        for one in group
        if one.version is not None and one.version != best[one.base].version
    }
    derived = [one for one in names if one.derived is not None]
    others = versions | _derived_reasons(derived, best) | _reference_reasons(paths) | _overview_reasons(paths)
    return _same_file_reasons([path for path in paths if path not in others], is_known) | others


def named(path: str) -> Named:
    """Recognise a file by its name."""
    stem = micrograph_stem(path)
    for what, ending in DERIVED:
        if found := re.search(rf"(?:{ending})$", stem):
            base, _ = _base_and_ranks(stem[: found.start()])
            return Named(path, base, None, what)
    base, ranks = _base_and_ranks(stem)
    return Named(path, base, max(ranks, default=PLAIN), None)


def _base_and_ranks(stem: str) -> tuple[str, list[int]]:
    """Name of the micrograph without the endings of `VERSIONS`, and their ranks; `mic_EVN_DW` has two."""
    stem = METHOD.sub("", stem)
    found = [
        (match.start(), rank)
        for rank, (_, ending) in enumerate(VERSIONS)
        if ending and (match := re.search(rf"(?<=.)(?:{ending})$", stem))
    ]
    if not found:
        return stem, []
    # the longest ending: of `mic_non_dose_weighted` not `_dose_weighted`
    start, rank = min(found)
    base, more = _base_and_ranks(stem[:start])
    return base, [rank, *more]


def _derived_reasons(derived: Iterable[Named], best: Mapping[str, Named]) -> dict[str, str]:
    """Derived images of each kind of which at least one has its micrograph here."""
    kinds: dict[str, list[Named]] = defaultdict(list)
    for one in derived:
        kinds[str(one.derived)].append(one)
    reasons: dict[str, str] = {}
    for what, group in kinds.items():
        pairs = [(one.path, best[one.base].path) for one in group if one.base in best]
        if pairs and not _same_size(pairs):
            reasons |= {one.path: f"{what} and not a micrograph, by its name and the files beside it" for one in group}
    return reasons


def _same_size(pairs: Iterable[tuple[str, str]]) -> bool:
    """Whether files have the size of their micrographs, by the first pair of MRC files that can be read."""
    for pair in pairs:
        try:
            one, other = map(mrc_shape, pair)
        except UserError:
            continue
        return one == other
    return False


def _reference_reasons(paths: Sequence[str]) -> dict[str, str]:
    found = [path for path in paths if REFERENCE.search(micrograph_stem(path))]
    n_others = len(paths) - len(found)
    if n_others and len(found) <= max(1, MAX_REFERENCES * n_others):
        return dict.fromkeys(found, "reference image of the camera and not a micrograph, by its name")
    return {}


def _overview_reasons(paths: Sequence[str]) -> dict[str, str]:
    if not any(EPU_IMAGE.match(micrograph_stem(path)) for path in paths):
        return {}
    overviews = [path for path in paths if EPU_OVERVIEW.match(micrograph_stem(path))]
    return dict.fromkeys(overviews, "EPU's overview at low magnification and not a micrograph, by its name")
