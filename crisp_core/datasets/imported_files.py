"""The files that an import of coordinates or picks leaves: coordinates, names, quarantine and notices."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from crisp_core.datasets.coordinate_pixel_sizes import pixel_size_notices
from crisp_core.datasets.importing import Imported
from crisp_core.datasets.quarantine import write_quarantine
from crisp_core.formats.relion_coordinates import write_coordinates_star
from crisp_core.formats.tables import write_table

log = logging.getLogger("crisp")


class ImportedFiles(NamedTuple):
    """Paths of the files: a star file and three tables (tab-separated)."""

    coordinates: str | Path
    names: str | Path
    quarantine: str | Path
    notices: str | Path


def write_imported(
    imported: Imported, files: ImportedFiles, *, sources: Sequence[str], pixel_size: float, scale: float = 1.0
) -> None:
    """Write the files of an import, and log what it refused.

    Parameters
    ----------
    imported : Imported
        Result of the import.
    files : ImportedFiles
        Files to write.
    sources : sequence of str
        Files that were imported; a pixel size that they state and that contradicts the config gives a notice.
    pixel_size : float
        Å/px of the micrographs.
    scale : float
        Factor by which the coordinates were multiplied.
    """
    for note in imported.notes:
        log.warning(note)
    for path, _, reason in imported.refused:
        log.warning("quarantined %s: %s", path, reason)
    write_coordinates_star(files.coordinates, imported.coordinates)
    write_table(imported.names, files.names)
    write_quarantine(files.quarantine, imported.refused)
    notices = [*pixel_size_notices(sources, pixel_size=pixel_size, scale=scale), *imported.notices]
    write_table({"notice": notices}, files.notices)
