"""Rule summarise_micrographs: picks, shares of classes and verdict of each micrograph as a JSON file."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.evaluation.summaries import write_summaries
from crisp_core.formats.relion_coordinates import read_coordinates_stars
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
given, names = snakemake.input, {"micrograph": str}
micrographs = pd.read_csv(given.micrographs, sep="\t", dtype=names | {"star_path": str})
picks = read_coordinates_stars(given.picks)
dropped = pd.concat([pd.read_csv(path, sep="\t", dtype=names) for path in given.dropped], ignore_index=True)
curation = pd.read_csv(given.curation[0], sep="\t", dtype=names) if given.curation else None
folder = Path(snakemake.output[0])
write_summaries(folder, micrographs, picks, dropped, curation, sizes=snakemake.params.dataset)
log.info("%d micrographs in %s", len(micrographs), folder)
