"""Rule summarise_micrographs: picks, shares of classes and verdict of each micrograph as a JSON file."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.evaluation.summaries import write_summaries
from crisp_core.formats.relion_coordinates import read_coordinates_stars
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
given = snakemake.input
micrographs = read_table(given.micrographs)
picks = read_coordinates_stars(given.picks)
dropped = pd.concat([read_table(path) for path in given.dropped], ignore_index=True)
curation = read_table(given.curation[0]) if given.curation else None
folder = Path(snakemake.output[0])
write_summaries(folder, micrographs, picks, dropped, curation, sizes=snakemake.params.dataset)
log.info("%d micrographs in %s", len(micrographs), folder)
