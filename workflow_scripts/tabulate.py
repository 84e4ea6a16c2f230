"""Rule tabulate: what several experiments reach on the test part, what their networks weigh and what they cost."""

from typing import TYPE_CHECKING

from crisp_core.evaluation.maps import pooled_map_row
from crisp_core.evaluation.performance import job_cost
from crisp_core.evaluation.tables import add_mean_and_sd, experiment_row
from crisp_core.formats.tables import read_table, write_table
from crisp_core.logs import start_log
from crisp_core.segmentation.networks import load_network, n_parameters

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])


rows = []
results = (snakemake.input[name] for name in ("pixels", "picks", "maps", "checkpoints"))
files = zip(*results, strict=True)
for (dataset, experiment, seed, _), jobs, (pixels, picks, maps, checkpoint) in zip(
    snakemake.params.runs, snakemake.params.jobs, files, strict=True
):
    row = {"dataset": dataset, "experiment": experiment, "seed": seed}
    row["n_parameters"] = n_parameters(load_network(checkpoint).network)
    row |= experiment_row(read_table(pixels), read_table(picks))
    row |= pooled_map_row(read_table(maps))[["n_regions", "n_labelled", "unsure_share"]].to_dict()
    for rule, measured in jobs.items():
        seconds, peak_mib = job_cost(measured)
        row |= {f"{rule}_seconds": seconds, f"{rule}_peak_mib": peak_mib}
    rows.append(row)
    log.info("%s/%s, seed %s: pixel IoU %.4f, pick F1 %.4f", *list(row.values())[:3], row["pixel_iou"], row["pick_f1"])
write_table(add_mean_and_sd(rows), snakemake.output.table, digits=6)
