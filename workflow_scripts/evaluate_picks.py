"""Rule evaluate_picks: picks of every part, of a network or of another picker, against given coordinates."""

from typing import TYPE_CHECKING

from crisp_core.datasets.quarantine import failed_micrographs
from crisp_core.datasets.splits import read_scored_parts
from crisp_core.evaluation.compared import valid_areas
from crisp_core.evaluation.masked_area import flag_masked_picks
from crisp_core.evaluation.parts import with_remark
from crisp_core.evaluation.pick_tables import curve_table, picks_table
from crisp_core.formats.relion_coordinates import read_coordinates_star, read_coordinates_stars
from crisp_core.formats.tables import write_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
failed = failed_micrographs(snakemake.input.quarantine)
parts = read_scored_parts(snakemake.input.split, snakemake.input.names, failed=failed)
if failed:
    log.warning(
        "%d micrographs are not scored, since a step failed on them: %s", len(failed), ", ".join(sorted(failed))
    )
truth = read_coordinates_star(snakemake.input.coordinates)
candidates, picks = (read_coordinates_stars(paths) for paths in (snakemake.input.candidates, snakemake.input.picks))
scored = picks_table(
    truth,
    flag_masked_picks(picks, valid_areas(snakemake.input.images, parts)),
    parts,
    candidates=candidates,
    diameter_px=params.dataset["diameter_px"],
    pixel_size=params.dataset["pixel_size"],
    seed=params.seed,
)
write_table(with_remark(scored, params.truth), snakemake.output.picks, digits=6)
curve = curve_table(truth, candidates, parts, diameter_px=params.dataset["diameter_px"])
write_table(curve, snakemake.output.curve, digits=6)
for row in scored.query("micrograph == 'all'").itertuples():
    log.info("%s: F1 of the picks %.3f", row.part, row.f1)
