"""The report page of every run, and the index that lists them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from crisp_core.code_digest import files_digest
from crisp_core.formats.tables import read_table
from crisp_core.plan.batches import all_batches
from crisp_core.plan.corrections import ANNOTATION, has_scores, truth_remark
from crisp_core.plan.leaks import scores_may_leak
from crisp_core.plan.networks import (
    centers_file,
    checkpoint,
    crf_folder,
    finetuned,
    is_searched,
    network_folder,
    trained_run,
)
from crisp_core.plan.pickers import chosen_threshold, from_files
from crisp_core.plan.plan import Plan
from crisp_core.plan.shipped import shipped_record
from crisp_core.report.limits import MAX_EMBEDDED, MAX_SHOWN
from crisp_core.settings.questions import picker_name, split_run

SUGGESTIONS = "suggest.tsv"
# results that are made on request, of a run and of several
RUN_EXTRAS = (SUGGESTIONS, "resolution/resolution.tsv", "resolution/*.png", "noise/*.png")
SHARED_EXTRAS = ("*/tables/*.tsv", "*/comparisons/*/table.tsv", "*/comparisons/*/*.png")
# of a finished run: the page, and its entry in the index
PAGE, ENTRY = "report.html", "report_entry.json"
# folder of the previews of a large run, beside its page
PREVIEWS = "report_previews"


def n_previews(plan: Plan, *, dataset: str) -> int:
    """Number of micrographs that a page can show; the more there are, the smaller each is."""
    return int((plan.micrographs["dataset"] == dataset).sum())


def with_previews(plan: Plan) -> list[str]:
    """Datasets whose pages have their previews in a folder, since a single file would be too large."""
    return [name for name in plan.datasets if n_previews(plan, dataset=name) > MAX_EMBEDDED]


def without_previews(plan: Plan) -> list[str]:
    """Datasets whose pages are single files."""
    return [name for name in plan.datasets if n_previews(plan, dataset=name) <= MAX_EMBEDDED]


def page_data(plan: Plan, *, run: str) -> str:
    """File with the data of a run's page."""
    return f"results/{run}/{'report_large' if _is_large(plan, run) else 'report'}.json"


def page_previews(plan: Plan, *, run: str) -> list[str]:
    """Folder of the previews of a run's page, if it has one."""
    return [f"results/{run}/{PREVIEWS}"] if _is_large(plan, run) else []


def _is_large(plan: Plan, run: str) -> bool:
    return n_previews(plan, dataset=split_run(run)[0]) > MAX_EMBEDDED


def annotated(plan: Plan) -> list[str]:
    """Datasets that can have a page for marking particles: none if an experiment has the name of its folder."""
    return [] if ANNOTATION in plan.settings.experiments else list(plan.run_datasets)


def suggested_names(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Micrographs of a run's suggest.tsv, if it exists and the page is too small for all micrographs.

    The table is not an input, since the page would then remake it whenever it is made.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    path = Path(f"{plan.prefix}results/{dataset}/{experiment}/{SUGGESTIONS}")
    if n_previews(plan, dataset=dataset) <= MAX_SHOWN or not path.exists():
        return []
    try:
        return read_table(path, usecols=["micrograph"])["micrograph"].tolist()
    # another process may be writing the table
    except ValueError:
        return []


def report_input(plan: Plan, *, dataset: str, experiment: str) -> dict[str, Any]:
    """Truth and scores, maps, labels, particles and the chosen threshold, as far as a run has them.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    run, has_network = f"results/{dataset}/{experiment}", experiment in plan.with_network
    files: dict[str, Any] = {}
    if has_network:
        files["probability"] = all_batches(plan, f"{run}/probability/{{batch}}.h5", dataset=dataset)
        files |= {"sizes": f"{run}/sizes.tsv", "suggested_sizes": f"{run}/suggested_sizes.tsv"}
        files["curation"] = f"{run}/curation.tsv"
    centers = centers_file if has_network else chosen_threshold
    files["threshold"] = centers(plan, dataset=dataset, experiment=experiment)
    if plan.experiment(experiment).particles.extract:
        files["particles"] = f"{run}/particles.star"
        files["stacks"] = all_batches(plan, f"{run}/particles/{{batch}}.mrcs", dataset=dataset)
    if has_scores(plan, dataset):
        files["labels"] = all_batches(plan, "results/{dataset}/labels/{batch}.h5", dataset=dataset)
        if dataset in plan.labels_come_from("clicks"):
            pattern = "results/{dataset}/labels/{batch}.tsv"
            files["clicks"] = all_batches(plan, pattern, dataset=dataset)
        files["split"] = f"results/{dataset}/split.tsv"
        files["coordinates"] = f"results/{dataset}/coordinates.star"
        files["picks"] = f"{run}/metrics/picks.tsv"
        files |= {"pixels": f"{run}/metrics/pixels.tsv"} if has_network else {}
    if experiment in from_files(plan):
        files["pick_notices"] = [f"{run}/notices.tsv"]
    return files


def report_plots(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Plots of a run that the report shows; those of the training from the folder of the network.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    plots = training_plots(plan, dataset, experiment) if trains_here(plan, dataset, experiment) else []
    return plots + run_plots(plan, dataset, experiment)


def run_plots(plan: Plan, dataset: str, experiment: str) -> list[str]:
    """Plots of a run's picks, maps and search, in the run's own folder.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    names = []
    if experiment in plan.with_network:
        names += ["sizes", *(["search"] if is_searched(plan, dataset, experiment) else [])]
    if has_scores(plan, dataset):
        names += ["precision_recall", *(["calibration"] if calibrates(plan, dataset, experiment) else [])]
    return [f"results/{dataset}/{experiment}/plots/{name}.png" for name in names]


def calibrates(plan: Plan, dataset: str, experiment: str) -> bool:
    """Whether a run's scores have a calibration: those of a network whose centers were searched.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    if experiment not in plan.with_network:
        return False
    run = trained_run(plan, dataset, experiment)
    return isinstance(run, Path) or is_searched(plan, *run)


def trains_here(plan: Plan, dataset: str, experiment: str) -> bool:
    """Whether a run's own network is trained by this plan.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    settings = plan.experiment(experiment)
    if experiment in plan.pickers or settings.trained is not None:
        return False
    return network_folder(plan, dataset, experiment) is not None


def training_plots(plan: Plan, dataset: str, experiment: str) -> list[str]:
    """Plots of the training of a run's network, and of its further training.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    plots = [f"results/{network_folder(plan, dataset, experiment)}/plots/training.png"]
    folder = crf_folder(plan, dataset, experiment)
    return plots + ([f"results/{folder}/plots/training_crf.png"] if folder in finetuned(plan) else [])


def report_run(plan: Plan, *, run: str) -> dict[str, Any]:
    """Names and settings of a run, and the folders with the times of its jobs, for its page."""
    dataset, experiment = split_run(run)
    folders = {f"results/{dataset}/{experiment}"}
    settings: dict[str, Any] = {
        "seed": plan.settings.seed,
        "datasets": {dataset: plan.dataset(dataset).plain()},
        "experiments": {experiment: plan.experiment(experiment).plain()},
    }
    if trains_here(plan, dataset, experiment):
        # a network that is trained here has a folder
        folder = str(network_folder(plan, dataset, experiment))
        folders |= {f"results/{folder}", Path(checkpoint(plan, dataset, experiment)).parent.as_posix()}
        if folder.startswith("networks/"):
            name = folder.removeprefix("networks/")
            settings["networks"] = {name: plan.settings.networks[name].plain()}
    return {
        "dataset": dataset,
        "experiment": experiment,
        "simulated": dataset in plan.simulated,
        "picker": picker_name(plan.experiment(experiment)),
        "truth": truth_remark(plan, dataset=dataset) if has_scores(plan, dataset) else None,
        "may_leak": scores_may_leak(plan, dataset, experiment),
        "folders": [f"results/{dataset}", *sorted(folders)],
        "settings": settings,
        **shipped_record(plan, dataset=dataset, experiment=experiment),
    }


def extra_results(plan: Plan, *, run: str) -> dict[str, str]:
    """Tables and plots of a run that were made on request, with digests and times, which the page shows.

    They are not inputs: otherwise every page would make them again.
    """
    folder = Path(f"{plan.prefix}results") / run
    found = [file for pattern in RUN_EXTRAS for file in sorted(folder.glob(pattern))]
    return _digests(found)


def _digests(files: Iterable[Path]) -> dict[str, str]:
    return {path.as_posix(): f"{files_digest([path])} {path.stat().st_mtime:.0f}" for path in files}


def shared_results(plan: Plan) -> dict[str, str]:
    """Tables and comparisons of several runs that exist below results/, with digests and times; of any config."""
    folder = Path(f"{plan.prefix}results")
    return _digests(file for pattern in SHARED_EXTRAS for file in sorted(folder.glob(pattern)))


def listed_entries(plan: Plan) -> list[str]:
    """Entries of the index: those of this plan's runs, and of other configs' runs whose pages exist.

    The list is the same for every config of a folder, so that none makes the index of the others outdated.
    """
    pages = Path(f"{plan.prefix}results").glob(f"*/*/{PAGE}")
    finished = {"/".join(page.parts[-3:-1]) for page in pages if page.with_name(ENTRY).exists()}
    if plan.prefix:
        # in a module, Snakemake looks for other files without the prefix
        finished = {run for run in finished if split_run(run)[0] in plan.datasets}
    return [f"results/{run}/{ENTRY}" for run in sorted(finished | set(plan.runs))]
