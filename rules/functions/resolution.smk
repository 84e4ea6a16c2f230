# Sets of particles whose resolution is measured
import sys
from pathlib import Path

from crisp_core.errors import UserError
from crisp_core.paths import check_patterns
from crisp_core.settings import is_empty


def resolution_settings(wildcards):
    """The section resolution of an experiment."""
    return config["experiments"][wildcards.experiment]["resolution"]


def false_sets(wildcards):
    """Sets of a simulation with a share of false picks, as {set: share}."""
    if wildcards.dataset not in SIMULATED:
        return {}
    shares = resolution_settings(wildcards)["false_shares"]
    return {f"false-{100 * share:g}": share for share in shares}


def other_picks(wildcards):
    """Other pickers' coordinate files of a simulation, as {set: files}."""
    if wildcards.dataset not in SIMULATED:
        return {}
    picks = resolution_settings(wildcards)["picks"]
    return {name: matching_files(patterns) for name, patterns in picks.items()}


def refined_files(wildcards):
    """Refinements of real micrographs, as {set: file}."""
    if wildcards.dataset in SIMULATED:
        return {}
    return resolution_settings(wildcards)["refined"]


def resolution_sets(wildcards):
    """All sets of particles whose resolution is compared; the first one makes the mask."""
    if wildcards.dataset not in SIMULATED:
        return list(refined_files(wildcards))
    return ["truth", "picks", *other_picks(wildcards), *false_sets(wildcards)]


def resolution_batch(wildcards):
    """Input function: on simulated micrographs, the truth, the picks and the split."""
    if wildcards.dataset not in SIMULATED:
        return {}
    own = f"results/{wildcards.dataset}"
    return {
        "truth": f"{own}/simulation/{wildcards.batch}.star",
        "picks": f"{own}/{wildcards.experiment}/picks/{wildcards.batch}.star",
        "split": f"{own}/split.tsv",
    }


def resolution_maps(wildcards):
    """Input function: half maps of all sets and seeds, the two of a set and seed one after the other."""
    return collect(
        "results/{dataset}/{experiment}/resolution/maps/{set}-{seed}-half{half}.mrc",
        dataset=wildcards.dataset,
        experiment=wildcards.experiment,
        set=resolution_sets(wildcards),
        seed=resolution_settings(wildcards)["seeds"],
        half=[1, 2],
    )


def resolution_mask(wildcards):
    """Input function: the user's mask, where there is one."""
    mask = resolution_settings(wildcards)["mask"]
    return [] if mask is None else [mask]


def check_resolution(dataset, name):
    """Refuse a section resolution that names an empty part of a simulation, or files that are not there."""
    settings = config["experiments"][name]["resolution"]
    if is_empty(config["datasets"][dataset]["split"], settings["part"]):
        raise UserError(
            f"config, experiments/{name}/resolution/part: datasets/{dataset}/split leaves no micrograph "
            f"for {settings['part']}; name another part"
        )
    for key, patterns in settings["picks"].items():
        key = f"config, experiments/{name}/resolution/picks/{key}"
        check_patterns(key, patterns, must_exist=True)
    named = {f"refined/{key}": path for key, path in settings["refined"].items()}
    for key, path in (named | {"mask": settings["mask"]}).items():
        if path is not None and not Path(path).exists():
            raise UserError(
                f"config, experiments/{name}/resolution/{key}: {path} does not exist; correct the path"
            )


def resolution_results(wildcards):
    """Input function: the resolution of every run whose particles have known angles."""
    runs = [Path(run).parts for run in RUNS]
    known = [
        (dataset, name)
        for dataset, name in runs
        if dataset in SIMULATED or config["experiments"][name]["resolution"]["refined"]
    ]
    if not known:
        sys.exit(
            f"error: config, experiments/{runs[0][1]}/resolution/refined: on real micrographs a resolution takes "
            "refined particles; name the star or .cs file of a refinement, such as {mine: run_data.star}"
        )
    for dataset, name in known:
        or_exit(check_resolution, dataset, name)
    return [f"results/{dataset}/{name}/resolution/fsc.png" for dataset, name in known]
