"""Rule sample_noise: noise patches of a batch, where each came from, and the spectrum of each micrograph's."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.images import read_micrograph
from crisp_core.logs import start_log
from crisp_core.particles.noise import NoisePatches, patches_table, power_spectrum, sample_noise, spectra_table
from crisp_core.particles.stacks import write_stack

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params, probability, output = snakemake.params, snakemake.input.probability, snakemake.output
names, classified = array_names(probability, "probability"), set(array_names(probability, "class"))
side_px = params.noise["side_px"]
nothing = NoisePatches(np.zeros((0, side_px, side_px)), np.zeros((0, 2), int), 0.0)
tables, spectra, rows = [patches_table("", nothing, stack=output.stack, first=0)], {}, []


def stacks() -> Iterator[np.ndarray]:
    """Patches of one micrograph after the other; what is said of them goes into the tables."""
    for name in names:
        try:
            image = read_micrograph(params.micrographs[name], name=name, pixel_size=params.dataset["pixel_size"]).image
        except UserError as error:
            log.warning("no patches of %s: %s", name, error)
            rows.append((name, 0, 0.0, str(error)))
            continue
        grid = read_array(probability, "probability", name)
        patches = sample_noise(
            image,
            grid.data.astype(np.float32),
            read_array(snakemake.input.images, "valid", name).data,
            name=name,
            pixel_size=grid.pixel_size,
            seed=params.seed,
            classes=read_array(probability, "class", name).data if name in classified else None,
            **params.noise,
        )
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


write_stack(output.stack, stacks(), size_px=side_px, pixel_size=params.dataset["pixel_size"])
spectra = spectra_table(spectra, side_px=side_px, pixel_size=params.dataset["pixel_size"])
micrographs = pd.DataFrame(rows, columns=["micrograph", "n_patches", "background_share", "reason"])
for table, path in ((pd.concat(tables), output.patches), (spectra, output.spectra), (micrographs, output.micrographs)):
    table.to_csv(path, sep="\t", index=False, float_format="%.6g")
