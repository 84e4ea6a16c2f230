"""Picks that another program wrote into files; rule `import_picks` reads them for all batches at once."""

from typing import ClassVar, Literal

from crisp_core.datasets.settings import FormatName, Origin
from crisp_core.pickers.picker import Picker, Threshold
from crisp_core.sections import Paths, Positive


class Files(Picker):
    """Picks from files, read as datasets/coordinates."""

    program: Literal["files"] = "files"
    """Name of the program."""

    files: Paths
    """Glob, or list of globs and paths: one file per micrograph, or one for all. A micrograph that no file names counts
    as not picked.

    Examples
    --------
        - other/*.box
        - [first.star, second.star]
    """

    format: FormatName = "auto"
    """Format of the files; auto finds it by suffix and header."""

    origin: Origin
    """Row order: whether y counts from the top or the bottom of the image file. It is checked against the images."""

    scale: Positive = 1.0
    """Factor by which the coordinates in the files are multiplied: 2 if the particles were picked on micrographs binned
    by 2. It is checked against the images."""

    threshold: Threshold = "published"
    """Minimum score of a pick. null chooses the threshold of the best F1 on the validation part; published takes all
    picks in the files and removes none by rule."""

    from_files: ClassVar[bool] = True
