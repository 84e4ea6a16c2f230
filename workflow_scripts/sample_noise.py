"""Rule sample_noise: noise patches of a batch, where each came from, and the spectrum of each micrograph's."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.arrays import array_names
from crisp_core.formats.tables import write_table
from crisp_core.logs import start_log
from crisp_core.particles.noise import NoisePatches, patches_table, power_spectrum, sample_noise_of_batch, spectra_table
from crisp_core.particles.stacks import write_stack

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params, output = snakemake.params, snakemake.output
files, pixel_size = (snakemake.input.probability, snakemake.input.images), params.dataset["pixel_size"]
options, side_px = {"pixel_size": pixel_size, "seed": params.seed, **params.noise}, params.noise["side_px"]
nothing = NoisePatches(np.zeros((0, side_px, side_px)), np.zeros((0, 2), int), 0.0)
tables, spectra, rows = [patches_table("", nothing, stack=output.stack, first=0)], {}, []


def stacks() -> Iterator[np.ndarray]:
    """Yield the patches of one micrograph after the other, and fill the tables."""
    for name in array_names(snakemake.input.probability, "probability"):
        try:
            patches = sample_noise_of_batch(name, params.micrographs[name], *files, **options)
        except UserError as error:
            log.warning("no patches of %s: %s", name, error)
            rows.append((name, 0, 0.0, str(error)))
            continue
        n, reason = len(patches.stack), ""
        if n:
            spectra[name] = (n, power_spectrum(patches.stack))
        else:
            reason = f"{name}: its background has no room for a patch of {side_px} px"
            log.warning("no patches of %s", reason)
        tables.append(patches_table(name, patches, stack=output.stack, first=sum(map(len, tables))))
        rows.append((name, n, patches.background_share, reason))
        log.info("%s: %d patches, background %.3f of the area", name, n, patches.background_share)
        yield patches.stack


write_stack(output.stack, stacks(), size_px=side_px, pixel_size=pixel_size)
spectra = spectra_table(spectra, side_px=side_px, pixel_size=pixel_size)
micrographs = pd.DataFrame(rows, columns=["micrograph", "n_patches", "background_share", "reason"])
for table, path in ((pd.concat(tables), output.patches), (spectra, output.spectra), (micrographs, output.micrographs)):
    write_table(table, path, digits=6)
