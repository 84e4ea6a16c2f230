import copy
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.optimize import linear_sum_assignment

from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.segmentation.checkpoints import read_facts
from crisp_core.segmentation.shipped import sha256, shipped_network

from .conftest import TINY, copy_workflow, run_snakemake, write_config

pytestmark = pytest.mark.slow
FINE = TINY["datasets"]["tiny"]
# the same picture at twice the length: a particle of 360 Å at 14.16 Å/px
COARSE = FINE | {
    "pixel_size": 14.16,
    "particle_diameter_angstrom": 360,
    "simulation": FINE["simulation"] | {"min_distance_angstrom": 400, "snr_pixel_size": 3.54},
}


def shared_network(run):
    """Config of one network of two datasets of other Å/px, applied to a third one."""
    settings = copy.deepcopy(TINY)
    own = settings["experiments"].pop("small")
    settings["datasets"] = {"fine": FINE, "coarse": COARSE, "bare": {"extend": "coarse"}}
    settings["networks"] = {"both": {"datasets": ["fine", "coarse"], **own}}
    settings["experiments"] = {
        "named": {"network": "both", "prediction": own["prediction"]},
        "given": {"extend": "named", "centers": {"finder": "nms", "threshold": 0.5}},
    }
    settings["run"] = run
    return settings


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = copy_workflow(tmp_path_factory.mktemp("named") / "crisp")
    write_config(folder / "mine.yaml", shared_network(["fine/named", "coarse/named"]))
    targets = [f"results/{dataset}/named/metrics/picks.tsv" for dataset in ("fine", "coarse")]
    run_snakemake(
        "--cores",
        "2",
        "--configfile",
        "mine.yaml",
        "--",
        "results/networks/both/plots/training.png",
        *targets,
        "picks",
        cwd=folder,
    )
    return folder


def test_one_network_serves_datasets_of_other_pixel_sizes(finished):
    facts = read_facts(finished / "results/networks/both/network.pt")
    assert facts.classes == ["background", "particle"] and facts.input.diameter_px == pytest.approx(25, rel=0.02)
    history = pd.read_csv(finished / "results/networks/both/history.tsv", sep="\t")
    assert len(history) == 2
    assert not list((finished / "results").glob("*/named/network.pt"))
    for dataset in ("fine", "coarse"):
        scores = pd.read_csv(finished / f"results/{dataset}/named/metrics/picks.tsv", sep="\t")
        assert scores.query("part == 'test' and micrograph == 'all'")["f1"].item() > 0.5


def test_two_datasets_with_the_same_names_keep_apart(finished):
    names = []
    for dataset in ("fine", "coarse"):
        picks = read_coordinates_star(finished / f"results/{dataset}/named/picks/0000.star")
        truth = read_coordinates_star(finished / f"results/{dataset}/coordinates.star")
        names.append(set(picks["micrograph"]))
        assert recall(truth, picks) > 0.5
    assert names[0] & names[1]


def test_the_file_of_a_network_picks_where_no_coordinates_are(finished):
    settings = shared_network(["files/given"])
    settings["datasets"] = {
        "files": {
            "micrographs": "results/coarse/micrographs/*.mrc",
            "pixel_size": 14.16,
            "particle_diameter_angstrom": 360,
        }
    }
    del settings["networks"]
    settings["experiments"] = {
        "given": settings["experiments"]["given"] | {"extend": None, "network": "mine/network.pt"}
    }
    (finished / "mine").mkdir()
    shutil.copy(finished / "results/networks/both/network.pt", finished / "mine")
    write_config(finished / "other.yaml", settings)
    run_snakemake(
        "--cores", "2", "--configfile", "other.yaml", "--", "picks", "results/files/given/report.html", cwd=finished
    )
    picks = read_coordinates_star(finished / "results/files/given/picks/0000.star")
    assert recall(read_coordinates_star(finished / "results/coarse/coordinates.star"), picks) > 0.5
    assert not (finished / "results/files/given/network.pt").exists()
    given = yaml.safe_load((finished / "results/files/given/centers-given.yaml").read_text())
    assert (
        given["threshold"] == 0.5
        and given["finder"]["name"] == "nms"
        and given["network"] == "../../../mine/network.pt"
    )


def test_micrographs_and_a_diameter_on_the_command_line_are_enough(finished):
    asked = ["--config", "micrographs=results/coarse/micrographs/*_000[12].mrc", "diameter_angstrom=360"]
    (finished / "config.yaml").rename(finished / "unread.yaml")
    done = run_snakemake("--cores", "2", *asked, cwd=finished)
    run = finished / "results/micrographs/general"
    assert not (run / "network.pt").exists() and not (run / "particles.star").exists() and "extract" not in done.stdout
    # those of the first batch of the simulation
    assert len(pd.read_csv(finished / "results/micrographs/micrographs.tsv", sep="\t")) == 2
    for name in ("autopick.star", "coordinates_only.star", "picks/0000.star", "dropped.tsv"):
        assert (run / name).is_file(), name
    given = yaml.safe_load((run / "centers-given.yaml").read_text())
    assert given["shipped"] == {"name": "general", "sha256": sha256(shipped_network("general"))}
    assert Path(given["network"]) == finished / "crisp_core/segmentation/shipped/general.pt"
    page = (run / "report.html").read_text()
    assert given["shipped"]["sha256"] in page and "not extracted" in page and "--configfile threshold.yaml" in page
    done = run_snakemake("--cores", "2", *asked, "-n", "--", "particles", cwd=finished)
    assert "extract" in done.stdout
    check_crisp_pick(finished)
    (finished / "unread.yaml").rename(finished / "config.yaml")


# another workflow, which picks what one of its rules makes: docs/other-workflows.md
OUTER = """
rule pick:
    input:
        expand("motion/simulated_000{number}.mrc", number=[1, 2]),
    output:
        "picks/results/micrographs/general/autopick.star",
    threads: 2
    shell:
        "PYTHON -m crisp_core.cli pick {input} --diameter 360 --cores {threads} --out picks"


rule correct_motion:
    output:
        "motion/{name}.mrc",
    shell:
        "cp results/coarse/micrographs/{wildcards.name}.mrc {output}"
"""


def check_crisp_pick(finished):
    """Compare the picks of the program `crisp`, in a rule of another workflow, with those of CRISP's, byte for byte."""
    (finished / "outer.smk").write_text(OUTER.replace("PYTHON", sys.executable))
    done = run_snakemake("--cores", "2", "--snakefile", "outer.smk", cwd=finished)
    run = Path("results/micrographs/general")
    assert f"picks on 2 micrographs: picks/{run}/autopick.star" in done.stdout
    names = [path.relative_to(finished) for path in (finished / run).rglob("*")]
    names = [name for name in names if name.suffix in (".star", ".cbox") and (finished / "picks" / name).exists()]
    assert {name.relative_to(run).as_posix() for name in names} >= {"autopick.star", "picks/0000.star"}
    for name in names:
        assert (finished / "picks" / name).read_bytes() == (finished / name).read_bytes(), name


def recall(truth, picks):
    """Share of the true particles of the picked micrographs that a pick has within half a diameter, one to one."""
    found = total = 0
    for name, rows in picks.groupby("micrograph"):
        true = truth[truth["micrograph"] == name]
        distance = np.linalg.norm(true[["x", "y"]].to_numpy()[:, None] - rows[["x", "y"]].to_numpy()[None], axis=2)
        pairs = linear_sum_assignment(distance)
        found, total = found + int((distance[pairs] < 180 / 7.08 / 2).sum()), total + len(true)
    return found / total
