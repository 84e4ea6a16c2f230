"""Rule count_dropped: dropped picks as a star file, and how many each rule dropped or gave no image."""

from itertools import chain
from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.datasets.quarantine import check_picks
from crisp_core.formats.relion_coordinates import read_coordinates_star, write_coordinates_star
from crisp_core.formats.tables import read_table, write_table
from crisp_core.logs import start_log
from crisp_core.picking.cleaning import with_reasons

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
tables = [
    read_table(path).assign(stage=stage) for stage in ("picking", "extraction") for path in snakemake.input[stage]
]
dropped = pd.concat(tables, ignore_index=True)
if snakemake.input.particles:
    check_picks(
        chain.from_iterable(read_coordinates_star(path)["micrograph"] for path in snakemake.input.picks),
        chain.from_iterable(read_coordinates_star(path)["micrograph"] for path in snakemake.input.particles),
        dropped.loc[dropped["stage"] == "extraction", "micrograph"],
        source="/".join(("results", snakemake.wildcards.dataset, snakemake.wildcards.experiment)),
    )
counts = dropped.groupby(["stage", "reason", "micrograph"], as_index=False).size().rename(columns={"size": "n_picks"})
write_table(counts, snakemake.output.counts)
write_coordinates_star(snakemake.output.picks, with_reasons(dropped))
for (stage, reason), n in counts.groupby(["stage", "reason"])["n_picks"].sum().items():
    log.info("%s: %d picks dropped, %s", stage, n, reason)
