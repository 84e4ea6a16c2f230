"""Rule plot_noise: power spectra of the noise."""

from typing import TYPE_CHECKING

from crisp_core.figures.noise import draw_noise
from crisp_core.figures.style import save_figure
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
spectra = read_table(snakemake.input.spectra)
save_figure(draw_noise(spectra), snakemake.output[0])
