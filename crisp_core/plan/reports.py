"""What the report shows of a run."""

from pathlib import Path
from typing import Any

from crisp_core.code_digest import files_digest
from crisp_core.plan.micrographs import all_batches
from crisp_core.plan.networks import centers_file, checkpoint, is_searched, network_folder
from crisp_core.plan.pickers import chosen_threshold
from crisp_core.plan.plan import Plan, split_run
from crisp_core.settings.questions import picker_name


def n_previews(plan: Plan) -> int:
    """Pictures that the report holds; the more there are, the smaller each is."""
    return sum(int((plan.micrographs["dataset"] == split_run(run)[0]).sum()) for run in plan.runs)


def report_input(plan: Plan, *, dataset: str, experiment: str) -> dict[str, Any]:
    """Truth and scores, maps and labels, and the chosen threshold, as far as a run has them."""
    run, has_network = f"results/{dataset}/{experiment}", experiment in plan.with_network
    files: dict[str, Any] = {}
    if has_network:
        files["probability"] = all_batches(plan, f"{run}/probability/{{batch}}.h5", dataset=dataset)
    centers = centers_file if has_network else chosen_threshold
    files["threshold"] = centers(plan, dataset=dataset, experiment=experiment)
    if dataset in plan.labelled:
        files["labels"] = all_batches(plan, "results/{dataset}/labels/{batch}.h5", dataset=dataset)
        files["split"] = f"results/{dataset}/split.tsv"
        files["coordinates"] = f"results/{dataset}/coordinates.star"
        files["picks"] = f"{run}/metrics/picks.tsv"
        files |= {"pixels": f"{run}/metrics/pixels.tsv"} if has_network else {}
    return files


def given_threshold(plan: Plan, *, experiment: str) -> float | str | None:
    """Threshold that the config gives: a number, null, or the word of another picker's entry."""
    settings = plan.experiment(experiment)
    return (settings["picker"] or settings["centers"])["threshold"]


def report_plots(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Plots of a run that the report shows; those of the training from the folder of the network."""
    run, plots = f"results/{dataset}/{experiment}", []
    if trains_here(plan, dataset, experiment):
        plots += training_plots(plan, dataset, experiment)
    if experiment in plan.with_network and is_searched(plan, dataset, experiment):
        plots += [f"{run}/plots/search.png"]
    if dataset in plan.labelled:
        plots += [f"{run}/plots/precision_recall.png"]
        if calibrates(plan, dataset, experiment):
            plots += [f"{run}/plots/calibration.png"]
    return plots


def calibrates(plan: Plan, dataset: str, experiment: str) -> bool:
    """Whether a run's scores have a calibration: those of a network whose threshold was chosen."""
    if experiment not in plan.with_network:
        return False
    return not centers_file(plan, dataset=dataset, experiment=experiment).endswith("centers-given.yaml")


def trains_here(plan: Plan, dataset: str, experiment: str) -> bool:
    """Whether a run's own network is trained by this plan."""
    settings = plan.experiment(experiment)
    if experiment in plan.pickers or settings["trained"] is not None:
        return False
    return network_folder(plan, dataset, experiment) is not None


def training_plots(plan: Plan, dataset: str, experiment: str) -> list[str]:
    """Plots of the training of a run's network, and of its further training."""
    plots = [f"results/{network_folder(plan, dataset, experiment)}/plots/training.png"]
    last = Path(checkpoint(plan, dataset, experiment))
    return plots + ([f"{last.parent.as_posix()}/plots/training_crf.png"] if last.name == "crf.pt" else [])


def report_run(plan: Plan, dataset: str, experiment: str) -> dict[str, Any]:
    """What the report says of a run besides its results: its settings, and the folders with its jobs' times."""
    folders = {f"results/{dataset}/{experiment}"}
    settings: dict[str, Any] = {
        "seed": plan.settings["seed"],
        "datasets": {dataset: plan.dataset(dataset)},
        "experiments": {experiment: plan.experiment(experiment)},
    }
    if trains_here(plan, dataset, experiment):
        # a network that is trained here has a folder
        folder = str(network_folder(plan, dataset, experiment))
        folders |= {f"results/{folder}", Path(checkpoint(plan, dataset, experiment)).parent.as_posix()}
        if folder.startswith("networks/"):
            name = folder.removeprefix("networks/")
            settings["networks"] = {name: plan.settings["networks"][name]}
    return {
        "dataset": dataset,
        "experiment": experiment,
        "simulated": dataset in plan.simulated,
        "picker": picker_name(plan.experiment(experiment)),
        "folders": [f"results/{dataset}", *sorted(folders)],
        "settings": settings,
    }


def report_runs(plan: Plan) -> list[dict[str, Any]]:
    """What the report says of every run."""
    return [report_run(plan, *split_run(run)) for run in plan.runs]


def extra_results(plan: Plan) -> dict[str, dict[str, str]]:
    """Tables and plots of every run that were made on request, with digests.

    They are not inputs, since the report would then remake them whenever it is made: it shows those that exist.
    """
    return {run: extra_files(*split_run(run), prefix=plan.prefix) for run in plan.runs}


def extra_files(dataset: str, experiment: str, *, prefix: str = "") -> dict[str, str]:
    """Tables and plots of a run that were made on request, with digests."""
    folder = Path(f"{prefix}results") / dataset
    found = [
        *sorted(folder.glob("tables/*.tsv")),
        *sorted(folder.glob("comparisons/*/table.tsv")),
        *sorted(folder.glob("comparisons/*/*.png")),
        *sorted((folder / experiment).glob("resolution/resolution.tsv")),
        *sorted((folder / experiment).glob("resolution/*.png")),
        *sorted((folder / experiment).glob("noise/*.png")),
    ]
    return {path.as_posix(): files_digest([path]) for path in found}
