"""The files that the named targets ask for."""

from collections.abc import Iterable

from crisp_core.errors import UserError
from crisp_core.plan.batches import all_batches
from crisp_core.plan.corrections import ANNOTATION, has_scores
from crisp_core.plan.networks import checkpoint, crf_folder, crf_type, network_folder, with_crf
from crisp_core.plan.plan import Plan
from crisp_core.plan.reports import PAGE, SUGGESTIONS, annotated, run_plots, training_plots, trains_here
from crisp_core.plan.resolution import runs_with_resolution
from crisp_core.settings.questions import split_run


def of_runs(names: Iterable[str], runs: Iterable[str]) -> list[str]:
    """Files `names` of every one of the runs."""
    names = list(names)
    return [f"results/{run}/{name}" for run in runs for name in names]


def network_runs(plan: Plan) -> list[str]:
    """Runs in which a network predicts."""
    return [run for run in plan.runs if split_run(run)[1] in plan.with_network]


def training_runs(plan: Plan) -> list[str]:
    """Runs whose network this plan trains."""
    return [run for run in plan.runs if trains_here(plan, *split_run(run))]


def picks(plan: Plan) -> list[str]:
    """Files of the picks of all runs for RELION, cryoSPARC, crYOLO and pipelines, and the micrographs they name."""
    exported = [run for run in plan.runs if plan.dataset(split_run(run)[0]).exposures is not None]
    with_ctf = [run for run in plan.runs if plan.dataset(split_run(run)[0]).ctf is not None]
    return [
        *of_runs(["autopick.star", "coordinates_only.star", "summaries"], plan.runs),
        *of_runs(["cryosparc/picks.cs"], exported),
        *of_runs(["micrographs_selected.star"], with_ctf),
        *of_runs(["micrographs"], plan.run_datasets),
    ]


def extracting_runs(plan: Plan) -> list[str]:
    """Runs whose particles the default target extracts."""
    return [run for run in plan.runs if plan.experiment(split_run(run)[1]).particles.extract]


def particles(plan: Plan) -> list[str]:
    """Particle stacks of all runs."""
    return of_runs(["particles.star"], plan.runs)


def labels(plan: Plan) -> list[str]:
    """Label masks of the runs' datasets."""
    pattern = "results/{dataset}/labels/{batch}.h5"
    return [path for dataset in labelled(plan) for path in all_batches(plan, pattern, dataset=dataset)]


def labelled(plan: Plan) -> list[str]:
    """Datasets of the runs that have labels."""
    return [dataset for dataset in plan.run_datasets if dataset in plan.labelled]


def networks(plan: Plan) -> list[str]:
    """Checkpoints of the runs' networks, before and after any further training, and of the section networks."""
    found = set()
    for run in training_runs(plan):
        found |= {f"results/{network_folder(plan, *split_run(run))}/network.pt", checkpoint(plan, *split_run(run))}
    for name in plan.settings.networks:
        further = crf_type(plan, f"networks/{name}") != "none"
        found |= {f"results/networks/{name}/{file}" for file in ("network.pt", *(["crf.pt"] if further else []))}
    return sorted(found)


def maps(plan: Plan) -> list[str]:
    """Folders of probability and label maps as MRC."""
    return of_runs(["maps"], network_runs(plan)) + of_runs(["label_maps"], labelled(plan))


def comparisons(plan: Plan) -> list[str]:
    """Tables and plots of all comparisons."""
    return [
        f"results/{comparison.dataset}/comparisons/{name}/{file}"
        for name, comparison in plan.settings.comparisons.items()
        for file in ("table.tsv", "pr.png", "overlap.png", "consensus.star")
    ]


def evaluations(plan: Plan) -> list[str]:
    """Scores and plots of all runs, as far as their datasets have coordinates."""
    files: list[str] = []
    for run in plan.runs:
        files += run_evaluations(plan, *split_run(run))
    for run in training_runs(plan):
        files += training_evaluations(plan, *split_run(run))
    return sorted(set(files))


def run_evaluations(plan: Plan, dataset: str, experiment: str) -> list[str]:
    """Scores and plots of a run's picks and maps.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    names = []
    if has_scores(plan, dataset):
        names += ["metrics/picks.tsv"]
        names += ["metrics/pixels.tsv", "plots/overlays"] if experiment in plan.with_network else []
    return of_runs(names, [f"{dataset}/{experiment}"]) + run_plots(plan, dataset, experiment)


def training_evaluations(plan: Plan, dataset: str, experiment: str) -> list[str]:
    """Plots of the training of a run's network, and of what its CRF does.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    plots, folder = training_plots(plan, dataset, experiment), crf_folder(plan, dataset, experiment)
    return plots + ([f"results/{folder}/plots/crf.png"] if folder in with_crf(plan) else [])


def results(plan: Plan) -> list[str]:
    """Everything that the default target makes, reports apart."""
    return [
        *picks(plan),
        *of_runs(["particles.star"], extracting_runs(plan)),
        *evaluations(plan),
        *of_runs(["dropped.tsv"], plan.runs),
        *of_runs(["curation.tsv"], network_runs(plan)),
        *of_runs(["quarantine.tsv"], [*plan.run_datasets, *plan.runs]),
    ]


def reports(plan: Plan) -> list[str]:
    """Report pages of all runs, and the index."""
    return [*of_runs([PAGE], plan.runs), "results/report.html"]


def strict(plan: Plan) -> list[str]:
    """Checks that no run of a strict config refused a file."""
    return of_runs(["strict.txt"], plan.runs) if plan.settings.strict else []


def resolutions(plan: Plan) -> list[str]:
    """Resolution of every run whose particles have known angles."""
    return of_runs(["resolution/fsc.png"], runs_with_resolution(plan))


def noise(plan: Plan) -> list[str]:
    """Spectra of the noise of every run with a network."""
    return of_runs(["noise/spectra.png"], network_runs(plan))


def suggestions(plan: Plan) -> list[str]:
    """Micrographs of which the network is unsure, of every run with a network."""
    return of_runs([SUGGESTIONS], network_runs(plan))


def annotations(plan: Plan) -> list[str]:
    """Pages on which a person marks particles, of the datasets of all runs.

    Raises
    ------
    UserError
        If an experiment has the name of the pages' folder.
    """
    if not annotated(plan):
        raise UserError(
            f"config, experiments/{ANNOTATION}: the target {ANNOTATION} saves in a folder of this name; rename the "
            "experiment"
        )
    return of_runs([PAGE], [f"{dataset}/{ANNOTATION}" for dataset in plan.run_datasets])
