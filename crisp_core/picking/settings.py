"""Settings of the search for particle centers, and of the removal of picks."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, create_model

from crisp_core.classes import AVOIDED
from crisp_core.options import choice_schema
from crisp_core.picking.finders import FINDERS
from crisp_core.sections import NonNegative, Section, Share

# the registry checks the parameters of a finder: settings.named
Finder = Annotated[str | dict[str, Any], WithJsonSchema(choice_schema(FINDERS, others=("search",)))]


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
    """Precision on the validation part that the threshold must reach: the lowest such threshold is chosen. null chooses
    the threshold of the best F1.

    Examples
    --------
        - 0.9
    """

    threshold: Share | None = None
    """Minimum score of a pick; null chooses it on the validation part.

    Examples
    --------
        - 0.5
    """

    psi_prior: bool = False
    """Whether the star files of picks and particles have the column rlnAnglePsiPrior: the in-plane angle of the
    particle's long axis; docs/sizes.md."""


class RemovalSettings(Section):
    """Removal of picks by rule."""

    edge: bool = False
    """Whether to remove picks whose box leaves the micrograph; otherwise the box is filled with edge pixels, as
    RELION does."""


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
