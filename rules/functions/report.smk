# What the report shows of a run
from pathlib import Path

from crisp_core.code_digest import files_digest
from crisp_core.settings import network_owner, picker_name


def page_digest(wildcards):
    """Digest of the report's template, style and script, which `core_digest` does not see."""
    folder = Path(workflow.basedir) / "crisp_core/report"
    return files_digest(
        folder / name for name in ("page.html", "style.css", "viewer.js")
    )


def report_input(wildcards):
    """What the report shows of a run where there is such: truth and scores, maps and labels, the chosen threshold."""
    dataset, experiment = wildcards.dataset, wildcards.experiment
    run, with_network = f"results/{dataset}/{experiment}", experiment in NETWORKS
    batches = {}
    if with_network:
        batches["probability"] = f"{run}/probability/{{batch}}.h5"
    if dataset in LABELLED:
        batches["labels"] = f"results/{dataset}/labels/{{batch}}.h5"
    files = {name: all_batches(path)(wildcards) for name, path in batches.items()}
    centers = trained_file("centers.yaml") if with_network else chosen_threshold
    files["threshold"] = centers(wildcards)
    if dataset in LABELLED:
        files["split"] = f"results/{dataset}/split.tsv"
        files["coordinates"] = f"results/{dataset}/coordinates.star"
        files["picks"] = f"{run}/metrics/picks.tsv"
        files |= {"pixels": f"{run}/metrics/pixels.tsv"} if with_network else {}
    return files


def given_threshold(wildcards):
    """Least score that the config gives: a number, null, or what another picker's entry says."""
    experiment = config["experiments"][wildcards.experiment]
    return (experiment["picker"] or experiment["centers"])["threshold"]


def report_plots(wildcards):
    """Plots of a run that the report shows, of the network's training those of the experiment that trained it."""
    dataset, experiment = wildcards.dataset, wildcards.experiment
    run, plots = f"{dataset}/{experiment}", []
    if run in SEARCHED_HERE:
        owner = network_owner(config["experiments"], experiment)
        plots += [f"results/{dataset}/{owner}/plots/training.png"]
        trained = Path(checkpoint(dataset, experiment))
        if trained.name == "crf.pt":
            plots += [f"{trained.parent}/plots/training_crf.png"]
        plots += [f"results/{run}/plots/search.png"]
    if run in EVALUATED:
        plots += [f"results/{run}/plots/precision_recall.png"]
        if experiment in NETWORKS:
            plots += [f"results/{run}/plots/calibration.png"]
    return plots


def report_run(dataset, experiment):
    """What the report says of a run beside its results: its settings, and where its jobs' times are."""
    owners = {experiment}
    if f"{dataset}/{experiment}" in SEARCHED_HERE:
        owners.add(network_owner(config["experiments"], experiment))
        owners.add(Path(checkpoint(dataset, experiment)).parent.name)
    settings = {
        "seed": config["seed"],
        "datasets": {dataset: config["datasets"][dataset]},
        "experiments": {experiment: config["experiments"][experiment]},
    }
    return {
        "dataset": dataset,
        "experiment": experiment,
        "simulated": dataset in SIMULATED,
        "picker": picker_name(config["experiments"][experiment]),
        "folders": [f"results/{dataset}"]
        + [f"results/{dataset}/{owner}" for owner in sorted(owners)],
        "settings": settings,
    }


def report_runs(wildcards):
    """What the report says of every run."""
    return [report_run(*Path(run).parts) for run in RUNS]


def extra_results(wildcards):
    """For every run, what was made on request beside it, with digests."""
    return {run: extra_files(*Path(run).parts) for run in RUNS}


def extra_files(dataset, experiment):
    """Tables and plots that were made on request, which the report shows where they exist, with their digests.

    They are no inputs: a report would otherwise make them again whenever it is made.
    """
    folder = Path("results") / dataset
    found = [
        *sorted(folder.glob("tables/*.tsv")),
        *sorted(folder.glob("comparisons/*/table.tsv")),
        *sorted(folder.glob("comparisons/*/*.png")),
        *sorted((folder / experiment).glob("resolution/resolution.tsv")),
        *sorted((folder / experiment).glob("resolution/*.png")),
        *sorted((folder / experiment).glob("noise/*.png")),
    ]
    return {path.as_posix(): files_digest([path]) for path in found}
