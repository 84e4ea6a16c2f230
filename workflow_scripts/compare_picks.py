"""Rule compare_picks: several pickers on the same micrographs, how far they agree, and their consensus."""

from typing import TYPE_CHECKING

from crisp_core.datasets.splits import read_scored_parts
from crisp_core.evaluation.compared import consensus_facts, entry_costs, read_entries, seen_micrographs, valid_areas
from crisp_core.evaluation.comparison import (
    CONSENSUS,
    common_micrographs,
    comparison_table,
    consensus_picks,
    flag_masked_entries,
    score_entries,
    shares_of_matched_picks,
)
from crisp_core.formats.arrays import array_names
from crisp_core.formats.relion_coordinates import read_coordinates_star, write_coordinates_star
from crisp_core.formats.tables import write_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
part, at_least = params.comparison["part"], params.comparison["consensus_at_least"]
entries = params.comparison["entries"]
parts = read_scored_parts(snakemake.input.split)
seen = seen_micrographs(parts, snakemake.input.names, snakemake.input.quarantine)
names = common_micrographs(parts, part, seen)
for entry, own in seen.items():
    if missing := [name for name in parts if parts[name] == part and name not in own]:
        log.warning("%s has no picks of %s, which is therefore left out for all", entry, ", ".join(missing))
truth = read_coordinates_star(snakemake.input.coordinates)
picks, candidates = (read_entries(snakemake.input[kind], entries) for kind in ("picks", "candidates"))
agreed = consensus_picks(picks, names, diameter_px=params.dataset["diameter_px"], at_least=at_least)
write_coordinates_star(snakemake.output.consensus, agreed)
overlap = shares_of_matched_picks(picks, names, diameter_px=params.dataset["diameter_px"])
write_table(overlap.reset_index(names="entry"), snakemake.output.overlap, digits=6)

picks, candidates = picks | {CONSENSUS: agreed}, candidates | {CONSENSUS: agreed}
scored, curves = score_entries(
    truth,
    flag_masked_entries(picks, valid_areas(snakemake.input.images, names)),
    candidates,
    names,
    part=part,
    diameter_px=params.dataset["diameter_px"],
    pixel_size=params.dataset["pixel_size"],
    seed=params.seed,
)
facts = dict(params.facts) | {CONSENSUS: consensus_facts(params.facts, at_least=at_least)}
costs = entry_costs(params.jobs, n_micrographs=sum(len(array_names(path, "image")) for path in snakemake.input.images))
table = comparison_table(scored, facts, costs)
write_table(table, snakemake.output.table, digits=6)
write_table(curves, snakemake.output.curves, digits=6)
for row in table.itertuples():
    log.info("%s: precision %.3f, recall %.3f, F1 %.3f", row.entry, row.precision, row.recall, row.f1)
