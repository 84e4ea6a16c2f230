"""Rule count_dropped: how many picks each rule dropped, and how many gave no particle image; no other is missing."""

from itertools import chain
from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.datasets.quarantine import check_picks
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
tables = [
    pd.read_csv(path, sep="\t", dtype={"micrograph": str}).assign(stage=stage)
    for stage in ("picking", "extraction")
    for path in snakemake.input[stage]
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
counts.to_csv(snakemake.output[0], sep="\t", index=False)
for (stage, reason), n in counts.groupby(["stage", "reason"])["n_picks"].sum().items():
    log.info("%s: %d picks dropped, %s", stage, n, reason)
