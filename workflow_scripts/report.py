"""Rule report: Snakemake's own report of the results, one page that opens offline."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
with tempfile.TemporaryDirectory() as folder:
    config = Path(folder) / "config.yaml"
    config.write_text(yaml.safe_dump(snakemake.params.config))
    command = [sys.executable, "-m", "snakemake", *snakemake.params.targets]
    # the run that this job belongs to holds the lock
    command += ["--nolock", "--snakefile", str(Path(snakemake.scriptdir).parent / "Snakefile")]
    command += ["--configfile", str(config), "--report", snakemake.output[0]]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
log.info("%s", done.stdout)
done.check_returncode()
