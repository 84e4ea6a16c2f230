"""The workflow in other places: imported by another Snakefile, and called from another folder."""

import numpy as np
import pandas as pd
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


rule correct_motion:
    input:
        "raw/mic.mrc",
    output:
        "corrected/{{name}}.mrc",
    shell:
        "cp {{input}} {{output}}"
"""
# paths of the dataset `made`, made by the rule above in the run that picks them
MADE = ["corrected/second.mrc", "corrected/first.mrc"]


@pytest.fixture
def outer(tmp_path):
    (tmp_path / "Snakefile").write_text(OUTER)
    settings = TINY | {"run": ["tiny/small", "mine/given", "made/given"]}
    mine = {"pixel_size": 7.08, "particle_diameter_angstrom": 180}
    settings["datasets"] = TINY["datasets"] | {
        "mine": mine | {"micrographs": ["raw/*.mrc", "results/motion/*.mrc"]},
        "made": mine | {"micrographs": MADE, "micrographs_from_rules": True},
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
    made = ("--cores", "2", "picking/results/made/quarantine.tsv", "picking/results/made/micrographs")
    run_snakemake(*made, "picking/results/tiny/labels/0000.h5", "picking/results/mine/micrographs.tsv", cwd=outer)
    star = outer / "picking/results/tiny/simulation/0000.star"
    assert len(read_coordinates_star(star))
    assert "picking/results/tiny/micrographs/simulated_0001.mrc" in star.read_text()
    table = (outer / "picking/results/mine/micrographs.tsv").read_text()
    assert "\nmic\traw/mic.mrc" in table and "\nother\tresults/motion/other.mrc" in table
    assert [path.name for path in (outer / "results").iterdir()] == ["motion"]
    # micrographs of a rule are made first, and picked in the order of the config; afterwards nothing is left to do
    table = pd.read_csv(outer / "picking/results/made/micrographs.tsv", sep="\t")
    assert table["path"].tolist() == MADE
    assert not len(pd.read_csv(outer / "picking/results/made/quarantine.tsv", sep="\t"))
    again = run_snakemake("-n", *made, cwd=outer).stdout
    assert "Nothing to be done" in again, again


@pytest.mark.slow
def test_a_micrograph_that_no_rule_makes_ends_an_imported_run(outer):
    settings = yaml.safe_load((outer / "outer.yaml").read_text())
    made = settings["picking"]["datasets"]["made"]
    made["micrographs"] = ["corected/first.mrc"]
    write_config(outer / "outer.yaml", settings)
    target = ("-n", "--cores", "2", "picking/results/made/micrographs.tsv")
    done = run_snakemake(*target, cwd=outer, check=False)
    assert done.returncode and "Missing input files" in done.stdout and "corected/first.mrc" in done.stdout


@pytest.mark.slow
def test_a_call_from_another_folder_has_a_plan(tmp_path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    options = ("-n", "--cores", "2", "-s", f"{ROOT}/Snakefile", "--directory", str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()
    planned = run_snakemake(*options, "--configfile", str(tmp_path / "tiny.yaml"), cwd=tmp_path).stdout
    assert "results/tiny/small/network.pt" in planned
