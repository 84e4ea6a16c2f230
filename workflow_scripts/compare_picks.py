"""Rule compare_picks: several pickers on the same micrographs, how far they agree, and their consensus."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.datasets.splits import parts_of
from crisp_core.evaluation.comparison import (
    CONSENSUS,
    common_micrographs,
    comparison_table,
    consensus_picks,
    flag_masked_entries,
    score_entries,
    shares_of_matched_picks,
)
from crisp_core.evaluation.performance import job_cost
from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.relion_coordinates import read_coordinates_star, write_coordinates_star
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
part, at_least = params.comparison["part"], params.comparison["consensus_at_least"]
entries = params.comparison["entries"]
parts = parts_of(snakemake.input.split)
named = {
    Path(path).parent.name: set(pd.read_csv(path, sep="\t", dtype=str)["micrograph"]) for path in snakemake.input.names
}
names = common_micrographs(parts, part, {entry: named.get(entry) for entry in entries})
for entry, seen in named.items():
    if missing := [name for name in parts if parts[name] == part and name not in seen]:
        log.warning("%s has no picks of %s, which is therefore left out for all", entry, ", ".join(missing))


def stars(kind: str) -> dict[str, pd.DataFrame]:
    """Tables of all entries."""
    paths = [Path(path) for path in snakemake.input[kind]]
    return {
        entry: pd.concat([read_coordinates_star(p) for p in paths if p.parts[-3] == entry], ignore_index=True)
        for entry in entries
    }


truth, picks, candidates = read_coordinates_star(snakemake.input.coordinates), stars("picks"), stars("candidates")
agreed = consensus_picks(picks, names, diameter_px=params.dataset["diameter_px"], at_least=at_least)
write_coordinates_star(snakemake.output.consensus, agreed)
overlap = shares_of_matched_picks(picks, names, diameter_px=params.dataset["diameter_px"])
overlap.to_csv(snakemake.output.overlap, sep="\t", index_label="entry", float_format="%.6g")

valid = (
    (name, read_array(path, "valid", name))
    for path in snakemake.input.images
    for name in array_names(path, "valid")
    if name in names
)
picks, candidates = picks | {CONSENSUS: agreed}, candidates | {CONSENSUS: agreed}
scored, curves = score_entries(
    truth,
    flag_masked_entries(picks, valid),
    candidates,
    names,
    part=part,
    diameter_px=params.dataset["diameter_px"],
    pixel_size=params.dataset["pixel_size"],
    seed=params.seed,
)
leaks = {fact["leak"] for fact in params.facts.values()}
most = max(leaks, key=["no", "unknown", "yes"].index)
facts = dict(params.facts) | {CONSENSUS: {"kind": f"at least {at_least} agree", "leak": most}}
costs = {}
for entry, jobs in params.jobs.items():
    training, picking = (job_cost(jobs[kind]) for kind in ("training", "picking"))
    costs[entry] = {
        "training_seconds": training.seconds,
        "training_peak_mib": training.peak_mib,
        "seconds_per_micrograph": picking.seconds / sum(len(array_names(p, "image")) for p in snakemake.input.images),
        "picking_peak_mib": picking.peak_mib,
    }
table = comparison_table(scored, facts, costs)
table.to_csv(snakemake.output.table, sep="\t", index=False, float_format="%.6g")
curves.to_csv(snakemake.output.curves, sep="\t", index=False, float_format="%.6g")
for row in table.itertuples():
    log.info("%s: precision %.3f, recall %.3f, F1 %.3f", row.entry, row.precision, row.recall, row.f1)
