"""Rule select_star: the user's STAR file of micrographs, of the selected ones alone, otherwise as it was."""

from typing import TYPE_CHECKING

from crisp_core.datasets.exclusions import read_excluded
from crisp_core.formats.relion_selection import write_selected_micrographs
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
micrographs = read_table(snakemake.input.micrographs)["micrograph"].tolist()
selected = set(micrographs) - read_excluded(snakemake.input.excluded).keys()
counts = write_selected_micrographs(snakemake.output[0], snakemake.input.ctf[0], micrographs, selected)
log.info("%d of %d micrographs of %s are selected", counts.selected, counts.listed, snakemake.input.ctf[0])
unknown = len(selected) - counts.selected
if unknown:
    log.warning("%d selected micrographs have no line in %s", unknown, snakemake.input.ctf[0])
