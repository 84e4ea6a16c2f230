"""Settings of the search for particle centers, and of the removal of picks."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, create_model

from crisp_core.classes import AVOIDED
from crisp_core.options import ChoiceSchema
from crisp_core.picking.finders import FINDERS
from crisp_core.sections import TWO, NonNegative, Section, Share, mistake

# the registry checks the parameters of a finder: settings.run_checks
Finder = Annotated[str | dict[str, Any], ChoiceSchema(FINDERS, others=("search",))]


# Keys of `removal` for measured picks alone, so that the search for centers does not depend on them.
CLEANING_KEYS = ("size_angstrom", "axis_ratio_max", "solidity_min", "score_min", "rank")
Rank = Literal["score", "size", "solidity", "roundness", "junk_distance"]


def _rising_if_given(bounds: list[float | None]) -> list[float | None]:
    low, high = bounds
    if low is not None and high is not None and low > high:
        raise mistake(f"the minimum, {low:g}, is more than the maximum, {high:g}; swap them")
    return bounds


OpenBounds = Annotated[list[NonNegative | None], TWO, AfterValidator(_rising_if_given)]


class CenterSettings(Section):
    """Particle centers on probability maps."""

    finder: Finder = "search"
    """Finder of centers: search compares the settings of all finders on the validation part; a name is that finder with
    its default parameters; a mapping is a finder with the parameters that it gives.

    Examples
    --------
        - search
        - nms
        - {name: nms, min_distance_diameters: 0.6}
    """

    criterion: Literal["ap", "f1", "map_paper"] = "ap"
    """Criterion of the search: average precision with one-to-one matching (ap), F1 (f1), or the mAP of the paper
    (map_paper)."""

    maps: Literal["predicted", "labels"] = "predicted"
    """Maps on which the search compares finders: predicted probabilities, or label images as published. The threshold
    is always chosen on predictions."""

    target_precision: Annotated[float, Field(gt=0, le=1)] | None = None
    """Precision on the validation part that the picks must reach: the lowest such threshold is chosen. Without a
    validation part, the lowest expected precision of a pick, for networks that come with CRISP (docs/general.md). null
    chooses the threshold of the best F1.

    Examples
    --------
        - 0.9
    """

    threshold: Share | None = None
    """Minimum score of a pick; null chooses it on the validation part. It takes precedence over `target_precision`.

    Examples
    --------
        - 0.5
    """

    psi_prior: bool = False
    """Whether the star files of picks and particles have the column rlnAnglePsiPrior: the in-plane angle of the
    particle's long axis; docs/sizes.md."""


class RemovalSettings(Section):
    """Removal of picks by rule, each with its reason and count in dropped.tsv; docs/cleaning.md."""

    edge: bool = False
    """Whether to remove picks whose box leaves the micrograph; otherwise the box is filled with edge pixels, as
    RELION does."""

    size_angstrom: OpenBounds | None = None
    """Minimum and maximum size of a pick in Å: the diameter of the circle with the area of its outline. Smaller picks
    are removed as `small` (fragments), larger ones as `large` (aggregates); null on one side removes none there.

    Examples
    --------
        - [90, 160]
        - [null, 160]
    """

    axis_ratio_max: Annotated[float, Field(ge=1)] | None = None
    """Maximum ratio of the long to the short axis of an outline; picks above it are removed as `elongated`.

    Examples
    --------
        - 1.8
    """

    solidity_min: Share | None = None
    """Minimum share of its convex hull that an outline fills; picks below it are removed as `irregular`.

    Examples
    --------
        - 0.85
    """

    score_min: Share | None = None
    """Minimum score; picks below it are removed as `low score`. Unlike those below centers/threshold, they are listed.

    Examples
    --------
        - 0.6
    """

    rank: Rank | None = None
    """Quantity by which particles.star is sorted, the highest first; null keeps the order of the micrographs.

    Examples
    --------
        - score
        - junk_distance
    """

    @property
    def size_bounds(self) -> tuple[float | None, float | None]:
        """Minimum and maximum size in Å; None where there is none."""
        return (None, None) if self.size_angstrom is None else (self.size_angstrom[0], self.size_angstrom[1])


if not TYPE_CHECKING:
    # a distance for every class that picks avoid: the registry has them
    RemovalSettings = create_model(
        "RemovalSettings",
        __base__=RemovalSettings,
        __doc__=RemovalSettings.__doc__,
        __module__=__name__,
        **{
            f"{each.name}_diameters": (
                NonNegative | None,
                Field(
                    default=each.removal_diameters,
                    description=f"Distance to predicted {each.name}, in particle diameters, within which picks are "
                    f"removed; null removes none. The network must have the class {each.name}.",
                    examples=[0.5, 1.0, None],
                ),
            )
            for each in AVOIDED
        },
    )
