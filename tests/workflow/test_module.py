"""The workflow in other places: imported by another Snakefile, and called from another folder."""

import numpy as np
import pytest
import yaml

from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.relion_coordinates import read_coordinates_star

from .conftest import ROOT, TINY, run_snakemake, write_config

OUTER = f"""
configfile: "outer.yaml"


module crisp:
    snakefile:
        "{ROOT}/Snakefile"
    config:
        config["picking"]
    prefix:
        "picking"


use rule * from crisp as crisp_*


rule count:
    default_target: True
    input:
        "picking/results/tiny/small/autopick.star",
"""


@pytest.fixture
def outer(tmp_path):
    (tmp_path / "Snakefile").write_text(OUTER)
    settings = TINY | {"run": ["tiny/small", "mine/given"]}
    settings["datasets"] = TINY["datasets"] | {
        "mine": {
            "micrographs": ["raw/*.mrc", "results/motion/*.mrc"],
            "pixel_size": 7.08,
            "particle_diameter_angstrom": 180,
        }
    }
    settings["experiments"] = TINY["experiments"] | {"given": {"trained": "picking/results/tiny/small"}}
    write_config(tmp_path / "outer.yaml", {"picking": settings})
    image = np.random.default_rng(1).normal(size=(192, 224)).astype(np.float32)
    for name in ("raw/mic.mrc", "results/motion/other.mrc"):
        (tmp_path / name).parent.mkdir(parents=True)
        write_mrc(tmp_path / name, image, pixel_size=7.08, dtype=np.float32)
    return tmp_path


@pytest.mark.slow
def test_another_snakefile_imports_all_rules_with_a_prefix(outer):
    planned = run_snakemake("-n", "--cores", "2", cwd=outer).stdout
    assert "crisp_train" in planned and "crisp_autopick" in planned
    planned = run_snakemake("-n", "--cores", "2", "picking/results/mine/given/autopick.star", cwd=outer).stdout
    # the user's files are where they are, results below the prefix; the run of this very plan is found below it, too
    assert (
        "input: raw/mic.mrc, results/motion/other.mrc" in planned and "picking/results/tiny/small/network.pt" in planned
    )


@pytest.mark.slow
def test_scripts_of_an_imported_workflow_run(outer):
    run_snakemake(
        *("--cores", "2", "picking/results/tiny/labels/0000.h5", "picking/results/mine/micrographs.tsv"), cwd=outer
    )
    star = outer / "picking/results/tiny/simulation/0000.star"
    assert len(read_coordinates_star(star))
    assert "picking/results/tiny/micrographs/simulated_0001.mrc" in star.read_text()
    table = (outer / "picking/results/mine/micrographs.tsv").read_text()
    assert "\nmic\traw/mic.mrc" in table and "\nother\tresults/motion/other.mrc" in table
    assert [path.name for path in (outer / "results").iterdir()] == ["motion"]


@pytest.mark.slow
def test_a_call_from_another_folder_has_a_plan(tmp_path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    options = ("-n", "--cores", "2", "-s", f"{ROOT}/Snakefile", "--directory", str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()
    planned = run_snakemake(*options, "--configfile", str(tmp_path / "tiny.yaml"), cwd=tmp_path).stdout
    assert "results/tiny/small/network.pt" in planned
