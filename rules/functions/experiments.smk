# What rules take from an experiment: its network, whoever trained it, its seeds in a table
from pathlib import Path

import yaml

from crisp_core.settings import network_owner, particle_boxes, run_folder, seeded_name


def searched_labels(wildcards):
    """The labels, where the finders are compared on them; else nothing."""
    if config["experiments"][wildcards.experiment]["centers"]["maps"] == "labels":
        return training_batches("results/{dataset}/labels/{batch}.h5")(wildcards)
    return []


def edge_box_px(wildcards):
    """Side of the box that must lie inside of the micrograph; 0 where picks at the edge stay."""
    experiment = config["experiments"][wildcards.experiment]
    if not experiment["removal"]["edge"]:
        return 0
    return particle_boxes(config["datasets"][wildcards.dataset], experiment).box_px


def trained_file(name):
    """Input function: a trained file of this experiment, or of the one that its setting `trained` names."""

    def file(wildcards):
        run, folder = trained_run(wildcards.dataset, wildcards.experiment)
        return str(folder / name) if run is None else f"results/{'/'.join(run)}/{name}"

    return file


def trained_run(dataset, experiment):
    """Run whose training an experiment uses, its own or the one that `trained` names, or the folder of an earlier run.

    The folder is absolute, which no rule's output is: what an earlier run trained is used as it is.
    """
    trained = config["experiments"][experiment]["trained"]
    if trained is None:
        return (dataset, experiment), None
    if run_folder(trained) in RUN_FOLDERS:
        return trained_run(*Path(run_folder(trained)).parts[-2:])
    return None, Path(trained).absolute()


def checkpoint(dataset, experiment):
    """The network of an experiment, or where its crf says so, what became of that in further training."""
    experiments = config["experiments"]
    if experiments[experiment]["crf"]["type"] == "none":
        return f"results/{dataset}/{network_owner(experiments, experiment)}/network.pt"
    owner = network_owner(experiments, experiment, with_crf=True)
    return f"results/{dataset}/{owner}/crf.pt"


def predicting_network(wildcards):
    """Input function: what predicts in an experiment."""
    return predictor(wildcards.dataset, wildcards.experiment)


def predictor(dataset, experiment):
    """The checkpoint of an experiment, or of the one that its setting `trained` names."""
    run, folder = trained_run(dataset, experiment)
    return str(trained_checkpoint(folder)) if run is None else checkpoint(*run)


def network_name(wildcards):
    """Params function: file name of what predicts, for those who take the folder of this run as `trained`."""
    return Path(predicting_network(wildcards)).name


def trained_checkpoint(folder):
    """What predicts in the folder of an earlier run: the one with which its centres were searched.

    A crf.pt may be left from before the config gave the CRF up.
    """
    try:
        network = yaml.safe_load((folder / "centers.yaml").read_text())["network"]
        return folder / Path(network).name
    except (OSError, yaml.YAMLError, LookupError, TypeError):
        return folder / "network.pt"


def first_network(dataset, experiment):
    """What the network of an experiment was before any CRF; of an earlier run, what predicts."""
    run, folder = trained_run(dataset, experiment)
    if run is None:
        return str(trained_checkpoint(folder))
    return f"results/{run[0]}/{network_owner(config['experiments'], run[1])}/network.pt"


def own_network(wildcards):
    """Input function: the network that this experiment, or one that it extends, trained before any CRF."""
    return first_network(wildcards.dataset, wildcards.experiment)


def experiment_seed(wildcards):
    """Seed of an experiment: its own, or the config's."""
    seed = config["experiments"][wildcards.experiment]["seed"]
    return config["seed"] if seed is None else seed


def section_without(section, key):
    """Params function: a section of an experiment but for one key."""

    def settings(wildcards):
        values = config["experiments"][wildcards.experiment][section]
        return {name: value for name, value in values.items() if name != key}

    return settings


def table_runs(wildcards):
    """Rows of a table, as (dataset, experiment, seed, name of the experiment with this seed)."""
    table = config["tables"][wildcards.table]
    return [
        (dataset or wildcards.dataset, name, seed, seeded_name(name, seed, config))
        for row in table["rows"]
        for dataset, _, name in [row.rpartition("/")]
        # a network that is trained already has no other seed
        for seed in table["seeds"][
            : 1 if config["experiments"][name]["trained"] else None
        ]
    ]


def table_files(name):
    """Input function: one result of all experiments of a table."""

    def files(wildcards):
        return [f"results/{d}/{run}/{name}" for d, _, _, run in table_runs(wildcards)]

    return files


def table_checkpoints(wildcards):
    """What predicts in all experiments of a table."""
    return [predictor(dataset, run) for dataset, _, _, run in table_runs(wildcards)]


def table_networks(wildcards):
    """What the networks of all experiments of a table were before any CRF; of earlier runs, what predicts."""
    return [first_network(dataset, run) for dataset, _, _, run in table_runs(wildcards)]
