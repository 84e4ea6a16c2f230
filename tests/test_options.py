"""Models of the registries, which the main process of Snakemake imports to check a config."""

import subprocess
import sys

HEAVY = ["torch", "skimage", "trackpy", "segmentation_models_pytorch", "topaz", "matplotlib", "scipy.stats"]
MODULES = ["settings.checks", "settings.command_line", "plan.checks", "plan.digests", "plan.targets", "plan.reports"]


def test_the_main_process_imports_no_heavy_library():
    names = ", ".join(f"crisp_core.{module}" for module in MODULES)
    code = f"import sys, {names}; found = set(sys.modules) & set({HEAVY}); assert not found, found"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
