"""Pickers of other people, by name: all take micrographs and return micrograph, x, y, score."""

from crisp_core.options import by_name
from crisp_core.pickers.files import Files
from crisp_core.pickers.picker import Picker
from crisp_core.pickers.relion_log import RelionLog
from crisp_core.pickers.skimage_log import SkimageLog
from crisp_core.pickers.topaz import PretrainedTopaz, TrainedTopaz

PICKERS: dict[str, type[Picker]] = by_name(
    Files,
    PretrainedTopaz,
    TrainedTopaz,
    RelionLog,
    SkimageLog,
    key="program",
)
