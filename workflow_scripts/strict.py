"""Rule strict: at the end of a run, an error if a file was quarantined."""

from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.datasets.quarantine import read_quarantine
from crisp_core.errors import UserError
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
tables = snakemake.input.quarantine
refused = read_quarantine(*tables)
if refused:
    raise UserError(
        f"strict: the run is finished, but {len(refused)} files were quarantined, see {', '.join(tables)}; the first: "
        f"{refused[0].reason}"
    )
Path(snakemake.output[0]).write_text("nothing was quarantined\n")
