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
    """search tries every setting of all finders on the validation part. A name takes the default parameters of that
    finder; an entry such as {name: nms, min_distance_diameters: 0.6} gives them."""

    criterion: Literal["ap", "f1", "map_paper"] = "ap"
    """Criterion of the search: average precision with one-to-one matching, F1, or the mAP of the paper."""

    maps: Literal["predicted", "labels"] = "predicted"
    """Maps that the search uses; the threshold is always chosen on predictions."""

    target_precision: Annotated[float, Field(gt=0, le=1)] | None = None
    """Precision that the threshold must reach: the lowest such threshold is chosen; null chooses the one of best
    F1."""

    threshold: Share | None = None
    """Minimum score of a pick; null chooses it on the validation part."""


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
                    "removed; null is off.",
                ),
            )
            for each in AVOIDED
        },
    )
