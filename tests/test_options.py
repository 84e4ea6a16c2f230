"""Models of the registries, which the main process of Snakemake imports to check a config."""

import subprocess
import sys

HEAVY = ["torch", "skimage", "trackpy", "segmentation_models_pytorch", "topaz", "matplotlib"]


def test_the_registries_import_no_heavy_library():
    code = (
        f"import sys, crisp_core.settings.checks, crisp_core.plan.pickers; assert not set(sys.modules) & set({HEAVY})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
