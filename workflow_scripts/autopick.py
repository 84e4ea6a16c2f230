"""Rule autopick: picks as files of RELION's autopicking, as boxes of crYOLO, and all in one star."""

from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.datasets.exclusions import read_excluded, without_excluded
from crisp_core.formats.coordinates.cryolo import write_cbox_files
from crisp_core.formats.cryosparc import write_coordinates_only
from crisp_core.formats.relion_autopick import write_autopick
from crisp_core.formats.relion_coordinates import read_coordinates_stars
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
dataset = snakemake.params.dataset
micrographs = read_table(snakemake.input.micrographs)
picks = read_coordinates_stars(snakemake.input.picks)
excluded = read_excluded(snakemake.input.excluded)
picks, _ = without_excluded(picks, excluded)
micrographs = micrographs[~micrographs["micrograph"].isin(list(excluded))]
star_paths = dict(zip(micrographs["micrograph"], micrographs["star_path"], strict=True))
write_autopick(snakemake.output.index, snakemake.output.coordinates, picks, star_paths)
write_coordinates_only(snakemake.output.coordinates_only, picks, star_paths)
sizes = {"size_px": dataset["diameter_px"], "pixel_size": dataset["pixel_size"]}
write_cbox_files(Path(snakemake.output.cbox), picks, star_paths, **sizes)
log.info("%d picks on %d micrographs, %d micrographs excluded", len(picks), len(micrographs), len(excluded))
