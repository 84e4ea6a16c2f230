"""Rule tabulate: what several experiments reach on the test part, what their networks weigh and what they cost."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.evaluation.maps import pooled_map_row
from crisp_core.evaluation.performance import job_cost
from crisp_core.evaluation.tables import add_mean_and_sd, experiment_row
from crisp_core.logs import start_log
from crisp_core.segmentation.networks import load_network, n_parameters

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])


def cost(folder: Path, rule: str) -> dict[str, float]:
    """Seconds and peak memory of a rule's jobs, as columns."""
    measured = job_cost([(folder, rule)])
    return {f"{rule}_seconds": measured.seconds, f"{rule}_peak_mib": measured.peak_mib}


rows = []
results = (snakemake.input[name] for name in ("pixels", "picks", "maps", "networks", "checkpoints"))
files = zip(*results, strict=True)
for (dataset, experiment, seed, _), (pixels, picks, maps, network, checkpoint) in zip(
    snakemake.params.runs, files, strict=True
):
    row = {"dataset": dataset, "experiment": experiment, "seed": seed}
    row["n_parameters"] = n_parameters(load_network(checkpoint).network)
    row |= experiment_row(pd.read_csv(pixels, sep="\t"), pd.read_csv(picks, sep="\t"))
    row |= pooled_map_row(pd.read_csv(maps, sep="\t"))[["n_regions", "n_labelled", "unsure_share"]].to_dict()
    row |= cost(Path(network).parent, "train") | cost(Path(pixels).parents[1], "predict")
    if Path(checkpoint).name == "crf.pt":
        row |= cost(Path(checkpoint).parent, "train_crf")
    rows.append(row)
    log.info("%s/%s, seed %s: pixel IoU %.4f, pick F1 %.4f", *list(row.values())[:3], row["pixel_iou"], row["pick_f1"])
add_mean_and_sd(rows).to_csv(snakemake.output.table, sep="\t", index=False, float_format="%.6g")
