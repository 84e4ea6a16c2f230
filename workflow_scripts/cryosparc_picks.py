"""Rule cryosparc_picks: picks as cryoSPARC's own .cs and .csg, and the table of names that match its exposures."""

from typing import TYPE_CHECKING

from crisp_core.datasets.exclusions import read_excluded, without_excluded
from crisp_core.formats.cryosparc_picks import write_picks
from crisp_core.formats.relion_coordinates import read_coordinates_stars
from crisp_core.formats.tables import read_table, write_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
picks = read_coordinates_stars(snakemake.input.picks)
picks, _ = without_excluded(picks, read_excluded(snakemake.input.excluded))
micrographs = read_table(snakemake.input.micrographs)
shapes = {row.micrograph: (row.height, row.width) for row in micrographs.itertuples()}
names = write_picks(snakemake.output.picks, picks, exposures=snakemake.input.exposures[0], shapes=shapes)
write_table(names, snakemake.output.names)
absent = names.loc[names["micrograph"] == "", "name"]
n_absent = picks["micrograph"].isin(absent).sum()
log.info("%d picks on %d exposures", len(picks) - n_absent, len(names) - len(absent))
if n_absent:
    log.warning("%d picks left out, %d micrographs have no exposure: see names.tsv", n_absent, len(absent))
