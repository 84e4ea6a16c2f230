"""Rule pick: centres of a batch; those that score enough and that no rule drops are picks."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import yaml

from crisp_core.arrays import array_grids, read_array
from crisp_core.centers.removal import drop_picks
from crisp_core.centers.search import find_centers
from crisp_core.geometry import angstrom_to_px, rescaled_xy
from crisp_core.logs import start_log
from crisp_core.star import write_coordinates_star

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
with open(snakemake.input.centers) as file:
    centers = yaml.safe_load(file)
if snakemake.params.threshold is not None:
    centers["threshold"] = snakemake.params.threshold
columns = {"micrograph": str, "x": float, "y": float, "score": float}
empty = pd.DataFrame(columns=list(columns)).astype(columns)
candidates, dropped = [empty], [empty.assign(reason="")]
for name, grid in array_grids(snakemake.input.probability, "probability").items():
    found = find_centers(
        read_array(snakemake.input.probability, "probability", name).data.astype(np.float32),
        centers["finder"],
        diameter_px=angstrom_to_px(snakemake.params.diameter_angstrom, grid.pixel_size),
        e=centers["e"],
        s=centers["s"],
    )
    found[["x", "y"]] = rescaled_xy(found[["x", "y"]].to_numpy(), grid.shape, grid.full_shape)
    found.insert(0, "micrograph", name)
    valid = read_array(snakemake.input.images, "valid", name).data
    kept, gone = drop_picks(found, full_shape=grid.full_shape, valid=valid)
    candidates.append(kept)
    dropped.append(gone)
    n_picks = (kept["score"] >= centers["threshold"]).sum()
    log.info("%s: %d picks of %d candidates, %d dropped", name, n_picks, len(kept), len(gone))

table = pd.concat(candidates, ignore_index=True)
write_coordinates_star(snakemake.output.candidates, table)
write_coordinates_star(snakemake.output.picks, table[table["score"] >= centers["threshold"]])
pd.concat(dropped, ignore_index=True).to_csv(snakemake.output.dropped, sep="\t", index=False, float_format="%.6g")
