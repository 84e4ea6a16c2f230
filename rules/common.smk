import re
import sys
from pathlib import Path

import yaml

from crisp_core.code_digest import code_digest
from crisp_core.errors import UserError
from crisp_core.settings import check_settings, label_source, network_owner


def or_exit(function, *arguments):
    """Result of a function; a mistake of the user ends the run with its one line."""
    try:
        return function(*arguments)
    except UserError as error:
        sys.exit(f"error: {error}")


def checked_config():
    """The config with defaults filled in."""
    schema = Path(workflow.basedir) / "rules/schemas/config.schema.yaml"
    return check_settings(config, yaml.safe_load(schema.read_text()))


def one_of(names):
    """Wildcard constraint: one of the names; no name at all matches nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def core_digest(script):
    """Digest of the crisp_core modules that a script imports: a rule reruns when one of them changes, and only then."""
    root = Path(workflow.basedir)
    return code_digest(root / "workflow_scripts" / f"{script}.py", root=root)


include: "functions/batches.smk"
include: "functions/checks.smk"
include: "functions/datasets.smk"
include: "functions/experiments.smk"
include: "functions/pickers.smk"
include: "functions/report.smk"
include: "functions/resolution.smk"


config = or_exit(checked_config)
RUNS = config["run"]
RUN_FOLDERS = collect("results/{run}", run=RUNS)
TABLE_ROWS = [row for table in config["tables"].values() for row in table["rows"]]
COMPARED_RUNS = [
    f"{comparison['dataset']}/{entry}"
    for comparison in config["comparisons"].values()
    for entry in comparison["entries"]
]
DATASETS = sorted(
    {str(Path(run).parent) for run in RUNS + TABLE_ROWS + COMPARED_RUNS} - {"."}
)
PICKERS = [name for name, entry in config["experiments"].items() if entry["picker"]]
SIMULATED = [d for d in DATASETS if "simulation" in config["datasets"][d]]
COORDINATES_GIVEN = [d for d in DATASETS if "coordinates" in config["datasets"][d]]
LABELLED = SIMULATED + COORDINATES_GIVEN
LABEL_SOURCES = {
    dataset: label_source(config["datasets"][dataset]) for dataset in DATASETS
}
# a job's own process skips these: what becomes of other files meanwhile should not end it
if workflow.is_main_process:
    or_exit(check_output_folders)
    or_exit(check_files)
    or_exit(check_experiments)
# the addition with which a dataset begins, and what belongs to every one
FIRST, EVERY = "0", "every"
micrographs = or_exit(micrograph_table)
if workflow.is_main_process:
    or_exit(check_tables)

RUN_DATASETS = sorted({str(Path(run).parent) for run in RUNS})
PICKS = (
    collect(
        "results/{run}/{star}.star", run=RUNS, star=["autopick", "coordinates_only"]
    )
    + [
        f"results/{run}/cryosparc/picks.cs"
        for run in RUNS
        if config["datasets"][str(Path(run).parent)]["exposures"] is not None
    ]
    + collect("results/{dataset}/micrographs", dataset=RUN_DATASETS)
)
PARTICLES = collect("results/{run}/particles.star", run=RUNS)
LABELS = [
    f"results/{dataset}/labels/{batch}.h5"
    for dataset in RUN_DATASETS
    if dataset in LABELLED
    for batch in dataset_batches(dataset)
]
NETWORKS = [name for name in config["experiments"] if name not in PICKERS]
NETWORK_RUNS = [run for run in RUNS if Path(run).name in NETWORKS]
SEARCHED_HERE = [
    run
    for run in NETWORK_RUNS
    if config["experiments"][Path(run).name]["trained"] is None
]
TRAINED_HERE = sorted(
    {
        f"{Path(run).parent}/{network_owner(config['experiments'], Path(run).name)}"
        for run in SEARCHED_HERE
    }
)
TRAINABLE = [
    name for name in NETWORKS if config["experiments"][name]["trained"] is None
]
FINETUNED = [
    name for name in TRAINABLE if config["experiments"][name]["crf"]["type"] != "none"
]
WITH_CRF = [
    name
    for name in FINETUNED
    if config["experiments"][name]["crf"]["type"] != "control"
]
CHECKPOINTS = sorted({checkpoint(*Path(run).parts) for run in SEARCHED_HERE})
EVALUATED = [run for run in RUNS if str(Path(run).parent) in LABELLED]
EVALUATIONS = collect(
    "results/{run}/{result}",
    run=EVALUATED,
    result=["metrics/picks.tsv", "plots/precision_recall.png"],
)
EVALUATIONS += collect(
    "results/{run}/{result}",
    run=[run for run in EVALUATED if run in NETWORK_RUNS],
    result=["metrics/pixels.tsv", "plots/calibration.png", "plots/overlays"],
)
EVALUATIONS += collect("results/{run}/plots/training.png", run=TRAINED_HERE)
EVALUATIONS += [
    str(Path(path).parent / "plots/training_crf.png")
    for path in CHECKPOINTS
    if Path(path).name == "crf.pt"
]
EVALUATIONS += [
    str(Path(path).parent / "plots/crf.png")
    for path in CHECKPOINTS
    if Path(path).name == "crf.pt" and Path(path).parent.name in WITH_CRF
]
EVALUATIONS += collect("results/{run}/plots/search.png", run=SEARCHED_HERE)

COMPARISONS = [
    f"results/{comparison['dataset']}/comparisons/{name}/{file}"
    for name, comparison in config["comparisons"].items()
    for file in ("table.tsv", "pr.png", "overlap.png", "consensus.star")
]

RESULTS = (
    PICKS
    + PARTICLES
    + EVALUATIONS
    + collect("results/{run}/dropped.tsv", run=RUNS)
    + collect("results/{dataset}/quarantine.tsv", dataset=RUN_DATASETS)
)
REPORTS = ["results/report.html"]
# the more pictures the report holds, the smaller they are
N_PREVIEWS = sum(
    int((micrographs["dataset"] == str(Path(run).parent)).sum()) for run in RUNS
)
STRICT = ["results/strict.txt"] if config["strict"] else []


wildcard_constraints:
    dataset=one_of(DATASETS),
    experiment="[A-Za-z0-9_-]+",
    table="[A-Za-z0-9_-]+",
    comparison="[A-Za-z0-9_-]+",
    batch=r"\d{4}\d*",
    addition=r"\d+",


# the only place where a call that executes something, and not merely plans it, can be told
onstart:
    keep_places()
