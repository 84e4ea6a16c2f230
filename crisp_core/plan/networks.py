"""Networks of a plan: what each is trained from, which file predicts in a run, and where its centres are chosen."""

import os
from pathlib import Path
from typing import Any

import yaml

from crisp_core.formats.centers import read_centers
from crisp_core.plan.additions import parts_file
from crisp_core.plan.batches import all_batches, batches_to_train, training_batches
from crisp_core.plan.datasets import dataset_sizes
from crisp_core.plan.plan import Plan
from crisp_core.segmentation.shipped import network_file
from crisp_core.settings.questions import (
    has_own_network,
    is_empty,
    network_owner,
    run_folder,
    searches_centers,
    split_run,
)
from crisp_core.settings.starts import Training, training_of_entry


def training_of(plan: Plan, network: str) -> Training:
    """Training whose results are in the folder `network` below results/."""
    place, name = split_run(network)
    if place == "networks":
        return training_of_entry(plan.settings.networks[name])
    return Training((place,), plan.experiment(name))


def trainable(plan: Plan) -> list[str]:
    """Folders below results/ of all networks that a target of this plan may ask to train."""
    own = [name for name in plan.with_network if has_own_network(plan.experiment(name))]
    inline = [f"{dataset}/{name}" for dataset in plan.datasets for name in own]
    return [f"networks/{name}" for name in plan.settings.networks] + inline


def finetuned(plan: Plan) -> list[str]:
    """Networks of `trainable` that are trained further, with a CRF or as its control."""
    return [folder for folder in trainable(plan) if crf_type(plan, folder) not in ("none", "tune")]


def tuned(plan: Plan) -> list[str]:
    """Networks of `trainable` for which a CRF is searched without training."""
    return [folder for folder in trainable(plan) if crf_type(plan, folder) == "tune"]


def with_crf(plan: Plan) -> list[str]:
    """Networks of `trainable` that have a CRF."""
    return [folder for folder in trainable(plan) if crf_type(plan, folder) not in ("none", "control")]


def crf_type(plan: Plan, folder: str) -> str:
    """Return the type of the CRF of a network."""
    return training_of(plan, folder).settings.crf.type


def training_splits(plan: Plan, *, network: str) -> list[str]:
    """Drawn parts of every dataset of a network."""
    return [str(parts_file(dataset)) for dataset in training_of(plan, network).datasets]


def training_files(plan: Plan, pattern: str, *, network: str) -> list[str]:
    """`pattern`, which holds {dataset} and {batch}, for the batches from which a network is trained.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    pattern : str
        Path of a result with placeholders in braces, such as {batch}.
    network : str
        Folder of the network below results/.
    """
    datasets = training_of(plan, network).datasets
    return [path for dataset in datasets for path in training_batches(plan, pattern, dataset=dataset)]


def training_sources(plan: Plan, *, network: str) -> dict[str, dict[str, Any]]:
    """Number of batch files, preparation and particle diameter (Å) of every dataset of a network."""
    return {
        dataset: {
            "n_batches": len(batches_to_train(plan, dataset)),
            "preparation": plan.dataset(dataset).preparation.plain(),
            "diameter_angstrom": plan.dataset(dataset).particle_diameter_angstrom,
            # named only where it is so, since another parameter would train other networks again
            **({"without_training": True} if is_empty(plan.dataset(dataset).split, "train") else {}),
        }
        for dataset in training_of(plan, network).datasets
    }


def training_section(plan: Plan, section: str, without: str = "", *, network: str) -> Any:
    """Section of a network's settings, but for one key that changes no result.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    section : str
        Name of the section in the experiment's settings, such as training.
    without : str
        Key of the section that is left out.
    network : str
        Folder of the network below results/.
    """
    return getattr(training_of(plan, network).settings, section).plain(without=(without,))


def training_gpus(plan: Plan, *, network: str) -> int:
    """Number of GPUs of the training of a network."""
    return training_of(plan, network).settings.training.gpus


def training_seed(plan: Plan, *, network: str) -> int:
    """Seed of a network: its own, or the config's."""
    seed = training_of(plan, network).settings.seed
    return plan.settings.seed if seed is None else seed


def shown_split(plan: Plan, *, network: str) -> str:
    """Split of the first dataset of a network, on which its CRF is shown."""
    return f"results/{training_of(plan, network).datasets[0]}/split.tsv"


def shown_files(plan: Plan, pattern: str, *, network: str) -> list[str]:
    """`pattern`, which holds {dataset} and {batch}, for the first dataset of a network.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    pattern : str
        Path of a result with placeholders in braces, such as {batch}.
    network : str
        Folder of the network below results/.
    """
    return all_batches(plan, pattern, dataset=training_of(plan, network).datasets[0])


def shown_sizes(plan: Plan, *, network: str) -> dict[str, float]:
    """Sizes of the first dataset of a network."""
    return dataset_sizes(plan, dataset=training_of(plan, network).datasets[0])


def network_folder(plan: Plan, dataset: str, experiment: str, *, after_crf: bool = False) -> str | None:
    """Folder below results/ of the network that an experiment trains or names; None for a file or a shipped network.

    Experiments that extend one another with equal settings share a folder. `after_crf` asks for the one with the
    network as it is after the further training.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    after_crf : bool
        Return the folder of the network after its further training.
    """
    settings = plan.experiment(experiment)
    if isinstance(settings.network, str):
        named = settings.network in plan.settings.networks
        return f"networks/{settings.network}" if named else None
    return f"{dataset}/{network_owner(plan.settings.experiments, experiment, with_crf=after_crf)}"


def before_crf(plan: Plan, *, network: str) -> str:
    """Checkpoint from which the network in a folder is trained further."""
    place, name = split_run(network)
    if place == "networks":
        return f"results/{network}/network.pt"
    return f"results/{place}/{network_owner(plan.settings.experiments, name)}/network.pt"


def checkpoint(plan: Plan, dataset: str, experiment: str) -> str:
    """Checkpoint that predicts in an experiment that does not reuse another run: after the CRF, where it has one.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    settings, folder = plan.experiment(experiment), network_folder(plan, dataset, experiment)
    if isinstance(settings.network, str) and folder is None:
        return network_file(settings.network)
    entry = training_of(plan, str(folder)).settings if isinstance(settings.network, str) else settings
    if entry.crf.type == "none":
        return f"results/{folder}/network.pt"
    return f"results/{network_folder(plan, dataset, experiment, after_crf=True)}/crf.pt"


def trained_run(plan: Plan, dataset: str, experiment: str) -> tuple[str, str] | Path:
    """Run of this plan whose network and centres an experiment uses, or else the folder of an earlier run.

    The folder is absolute, unlike any rule's output, so that results of an earlier run are used as they are.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    trained = plan.experiment(experiment).trained
    if trained is None:
        return dataset, experiment
    if plan.owns(run_folder(trained)):
        return trained_run(plan, *Path(run_folder(trained)).parts[-2:])
    return Path(trained).absolute()


def crf_folder(plan: Plan, dataset: str, experiment: str) -> str | None:
    """Folder below results/ of the CRF of a run's network, or of its control; None without both.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    last = Path(checkpoint(plan, dataset, experiment))
    return last.parent.relative_to("results").as_posix() if last.name == "crf.pt" else None


def predictor(plan: Plan, dataset: str, experiment: str) -> str:
    """Checkpoint that predicts in a run: the one answer to this question.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    run = trained_run(plan, dataset, experiment)
    return str(trained_checkpoint(run)) if isinstance(run, Path) else checkpoint(plan, *run)


def first_network(plan: Plan, dataset: str, experiment: str) -> str:
    """Checkpoint of a run before CRF fine-tuning; for a reused run or a file, the checkpoint that predicts.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    run = trained_run(plan, dataset, experiment)
    if isinstance(run, Path):
        return str(trained_checkpoint(run))
    own = network_folder(plan, *run)
    return checkpoint(plan, *run) if own is None else f"results/{own}/network.pt"


def network_beside(plan: Plan, *, dataset: str, experiment: str) -> str:
    """Path of the predicting checkpoint from the run's folder, for a later run that takes this folder as `trained`.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    path = predictor(plan, dataset, experiment)
    if Path(path).is_absolute():
        return path
    return os.path.relpath(plan.with_prefix(path), f"{plan.prefix}results/{dataset}/{experiment}")


def trained_checkpoint(folder: Path) -> Path:
    """Checkpoint that predicts in the folder of an earlier run: the one that its centers.yaml names.

    Another network.pt or crf.pt may be left in the folder from an earlier config. Where the named file does not exist,
    the folder was copied, and the checkpoint lies in the copy itself.
    """
    network = _centers(folder / "centers.yaml").get("network")
    if not isinstance(network, str):
        return folder / "network.pt"
    named, beside = Path(os.path.normpath(folder / network)), folder / Path(network).name
    return beside if beside.exists() and not named.exists() else named


def stated_digest(centers: Path) -> str | None:
    """Digest (SHA-256) of the network for which a centers.yaml was chosen; None if it states none."""
    return _centers(centers).get("network_sha256")


def _centers(path: Path) -> dict[str, Any]:
    """Contents of a centers.yaml; nothing if it cannot be read."""
    try:
        found: Any = read_centers(path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def is_searched(plan: Plan, dataset: str, experiment: str) -> bool:
    """Whether finder and threshold are chosen on the validation part of the run's own dataset.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    return searches_centers(plan.dataset(dataset), plan.experiment(experiment))


def centers_file(plan: Plan, *, dataset: str, experiment: str) -> str:
    """Finder and threshold: chosen by this run or the one that `trained` names, or given by the config.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    run = trained_run(plan, dataset, experiment)
    if isinstance(run, Path):
        return str(run / "centers.yaml")
    name = "centers.yaml" if is_searched(plan, *run) else "centers-given.yaml"
    return f"results/{'/'.join(run)}/{name}"
