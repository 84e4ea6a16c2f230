"""Base of all finders of centers, and the probability map that a finder searches.

Contract of a finder, for its default parameters and a particle of d pixels. `tests/picking/test_finders.py` holds it
for every entry of the registry:

- A constant map has no center, whatever its value. `FinderMap.working` and `FinderMap.depths` are zero there.
- Discs that touch (distance d or more) are parted, each center within half a pixel of the working grid, on which a
  particle is 24 to 48 px wide. Neighbours at 0.85 d are parted within d/8, and a particle cut by the edge of the map
  is found inside of the map, within d/4. Two particles that overlap by half may have one center; `splitting` parts
  them.
- The result depends on the map alone: a transposed or turned map gives the transposed or turned centers within 0.05 d,
  the same map twice gives the same centers, and no setting depends on those tried before.
- Lengths are in particle diameters: the same scene on a map with two or four times the pixels gives the same centers,
  within 0.3 px of the coarse map.
- A map of 512 × 512 px with one large confident area takes less than 5 s.

The score of a center, its limits and the order of the table are `footprint.centers_table`'s, the same for all finders.
"""

from collections.abc import Callable, Hashable, Mapping
from functools import cached_property
from itertools import product
from typing import Any, ClassVar, Concatenate, ParamSpec, Self, TypeVar

import numpy as np

from crisp_core.errors import UserError
from crisp_core.options import Options
from crisp_core.picking.finders.depths import Depths, measure_depths
from crisp_core.picking.finders.footprint import WorkingMap, working_map

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class FinderMap:
    """Probability map of one micrograph, with the intermediate results that several settings share.

    Attributes
    ----------
    probability : (h, w) array
        Probability of the particle class.
    diameter_px : float
        Particle diameter in pixels of the map.
    """

    def __init__(self, probability: np.ndarray, diameter_px: float) -> None:
        self.probability = probability
        self.diameter_px = diameter_px
        self._results: dict[Hashable, Any] = {}

    @cached_property
    def working(self) -> WorkingMap:
        """The map averaged over blocks, so that a particle is 24 to 48 pixels wide."""
        return working_map(self.probability, self.diameter_px)

    @cached_property
    def depths(self) -> Depths:
        """Distance of each pixel to the outline of its particle."""
        return measure_depths(self.working)

    def once(
        self,
        step: Callable[Concatenate["FinderMap", Arguments], Result],
        *options: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result:
        """Result of ``step(self, *options, **named)``, computed once for equal options."""
        key = (step, options, tuple(named.items()))
        if key not in self._results:
            self._results[key] = step(self, *options, **named)
        return self._results[key]


class Finder(Options):
    """Finder of centers with its parameters. A subclass adds `name`, its parameters, `grid` and `find`."""

    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {}
    """Values of the parameters that the search tries, in all combinations."""

    more: ClassVar[tuple[Mapping[str, float], ...]] = ()
    """Parameters of further settings that the search tries."""

    name: str = ""

    def find(self, seen: FinderMap) -> np.ndarray:
        """Positions (n, 2) of the centers as x, y in pixels of the map; the centre of the first pixel is (0, 0)."""
        raise NotImplementedError

    @classmethod
    def from_published(cls, e: float, s: float) -> Self:
        """Setting of the published numbers e (candidates) and s (filtering).

        Raises
        ------
        UserError
            If the published method does not have this finder.
        """
        raise UserError(f"{cls.model_fields['name'].default}: has no published e and s; give its own parameters")

    @classmethod
    def settings(cls) -> list[Self]:
        """All settings of the grid, the first parameter changing slowest, and the further ones."""
        combinations = product(*cls.grid.values())
        of_grid = [dict(zip(cls.grid, values, strict=True)) for values in combinations]
        return [cls.model_validate(parameters) for parameters in (*of_grid, *cls.more)]

    def shown(self) -> dict[str, float]:
        """Parameters for tables: those that the search varies, and those that differ from their default."""
        fields = type(self).model_fields
        values = {key: getattr(self, key) for key in fields if key != "name"}
        varied = set(self.grid).union(*self.more)
        return {key: value for key, value in values.items() if key in varied or value != fields[key].default}

    def __str__(self) -> str:
        """Name and shown parameters, such as ``nms (cell_diameters 0.5, min_distance_diameters 0.4)``."""
        shown = ", ".join(f"{key} {value:.4g}" for key, value in self.shown().items())
        return f"{self.name} ({shown})" if shown else self.name
