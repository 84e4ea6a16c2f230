import copy
import glob
import hashlib
import os
import re
import shutil
import sys
from functools import cache
from pathlib import Path

import pandas as pd
import yaml

from crisp_core.batches import Place, placed, read_places, write_places
from crisp_core.code_digest import code_digest
from crisp_core.errors import UserError
from crisp_core.settings import (
    check_settings,
    label_source,
    network_owner,
    particle_boxes,
    picker_name,
    seeded_name,
)
from crisp_core.star import micrograph_stem
from crisp_core.volumes import volume_source


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


def matching_files(patterns):
    """Files that match a glob or path, or a list of them, each once.

    A path that names no file stays, to be quarantined by name.
    """
    patterns = [patterns] if isinstance(patterns, str) else patterns
    files = [
        path
        for pattern in patterns
        for path in (
            sorted(glob.glob(pattern, recursive=True))
            if glob.has_magic(pattern)
            else [pattern]
        )
    ]
    return list(dict.fromkeys(files))


def dataset_micrographs(dataset, known):
    """Rows (micrograph, path) of one dataset; simulated micrographs have no path.

    Where `watch` is set, files that may still be written are left out, unless they are known already. A job's own
    process, as on a cluster, sees no micrographs but those that are known: the main process has recorded all it knows.
    """
    settings = config["datasets"][dataset]
    if "simulation" in settings:
        n = settings["simulation"]["n_micrographs"]
        return [(f"simulated_{i + 1:04d}", "") for i in range(n)]
    rows = [
        (micrograph_stem(path), path)
        for path in matching_files(settings["micrographs"])
    ]
    if not rows:
        raise UserError(
            f"config, datasets/{dataset}/micrographs: no file matches "
            f"{settings['micrographs']}; correct the path or glob"
        )
    if known and not workflow.is_main_process:
        return [(name, path) for name, path in rows if name in known]
    if config["watch"] is None:
        return rows
    from crisp_core.arrivals import has_arrived

    arrived = [
        (name, path)
        for name, path in rows
        if name in known or has_arrived(path, seconds=config["watch"])
    ]
    if not arrived:
        raise UserError(
            f"config, datasets/{dataset}/micrographs: none of {len(rows)} files has been unchanged "
            f"for {config['watch']:g} s; call again later"
        )
    return arrived


def volume_path(dataset):
    """Map or model of a simulation; None for the phantom and for an entry of a data bank."""
    volume = config["datasets"][dataset].get("simulation", {}).get("volume")
    if volume is None:
        return None
    kind, name = volume_source(volume)
    return name if kind in ("map", "model") else None


def check_files():
    """Refuse at once what names a file that is not there; micrographs are quarantined one by one instead."""
    for dataset in DATASETS:
        settings = config["datasets"][dataset]
        named = {
            "ctf": settings["ctf"],
            "exposures": settings["exposures"],
            "simulation/volume": volume_path(dataset),
            "labels/poses": settings["labels"]["poses"],
            "labels/map": settings["labels"]["map"],
            "labels/mask": settings["labels"]["mask"],
        }
        if dataset in COORDINATES_GIVEN:
            files = matching_files(settings["coordinates"]["files"])
            unusable = [path for path in files if not os.access(path, os.R_OK)]
            named["coordinates/files"] = unusable[0] if unusable else None
            if not files:
                raise UserError(
                    f"config, datasets/{dataset}/coordinates/files: no file matches "
                    f"{settings['coordinates']['files']}; correct the path or glob"
                )
        for key, path in named.items():
            if path is not None and not os.access(path, os.R_OK):
                cure = (
                    "cannot be read; change its permissions"
                    if Path(path).exists()
                    else "does not exist; correct the path"
                )
                raise UserError(f"config, datasets/{dataset}/{key}: {path} {cure}")
    for run in RUNS + COMPARED_RUNS:
        picker = config["experiments"][Path(run).name]["picker"] or {}
        if "files" in picker:
            files = matching_files(picker["files"])
            missing = [path for path in files if not Path(path).exists()]
            if missing or not files:
                raise UserError(
                    f"config, experiments/{Path(run).name}/picker/files: no file matches "
                    f"{missing[0] if missing else picker['files']}; correct the path or glob"
                )
        trained = config["experiments"][Path(run).name]["trained"]
        if trained and Path(trained).as_posix() not in RUN_FOLDERS:
            network = trained_checkpoint(Path(trained))
            for path in (network, network.with_name("centers.yaml")):
                if not path.exists():
                    raise UserError(
                        f"config, experiments/{Path(run).name}/trained: {trained} holds no {path.name}; "
                        "name the folder results/<dataset>/<experiment> of a finished run, the one that "
                        "trained the network where experiments share it"
                    )


def places_file(dataset):
    """Record of the micrographs' batches, by which a micrograph stays in the batch that it once was in."""
    return Path(f"results/{dataset}/batches.tsv")


def dataset_places(dataset, kept):
    """Paths and places of a dataset's micrographs, as two mappings from their names."""
    paths = {}
    for name, path in dataset_micrographs(dataset, kept):
        if name in paths:
            raise UserError(
                f"config, datasets/{dataset}: {paths[name]} and {path} share the "
                f"name {name}; rename one, since results are named by it"
            )
        paths[name] = path
    drawn = Path(f"results/{dataset}/split/drawn.tsv").exists()
    size = config["micrographs_per_job"]
    return paths, placed(paths, kept, size=size, closed=drawn)


def check_output_folders():
    """Refuse at once to write where that is impossible: Snakemake itself would end with a traceback."""
    for folder in [path for path in (Path("."), Path("results")) if path.exists()]:
        if not os.access(folder, os.W_OK):
            raise UserError(
                f"{folder.absolute()}: cannot be written; make it writable, or work in another folder (--directory)"
            )
        if shutil.disk_usage(folder).free < 2**20:
            raise UserError(
                f"{folder.absolute()}: no space left on the disk; free some, and run again, which goes on from here"
            )


def micrograph_table():
    """One row per micrograph of the datasets in use: dataset, micrograph, path, batch, addition."""
    rows = []
    for dataset in DATASETS:
        paths, places = dataset_places(dataset, read_places(places_file(dataset)))
        rows += [
            (dataset, name, paths[name], f"{place.batch:04d}", str(place.addition))
            for name, place in places.items()
        ]
    columns = ["dataset", "micrograph", "path", "batch", "addition"]
    return pd.DataFrame(rows, columns=columns)


def keep_places():
    """Record the batches of all micrographs that this call knows, and of those that are away at the moment."""
    for dataset in DATASETS:
        kept = read_places(places_file(dataset))
        rows = micrographs[micrographs["dataset"] == dataset]
        places = {
            row.micrograph: Place(int(row.batch), int(row.addition))
            for row in rows.itertuples()
        }
        if not places.keys() <= kept.keys():
            write_places(places_file(dataset), kept | places)


def check_tables():
    """Refuse at once, and not after a training, what leaves none to train on, and a CTF or exposures file of no use."""
    from crisp_core.cryosparc import match_exposures

    for dataset in DATASETS:
        settings = config["datasets"][dataset]
        if dataset in LABELLED and not batches_to_train(dataset):
            raise UserError(
                f"{places_file(dataset)}: no micrograph is left of the first run, from which the parts are drawn; "
                f"put them back, or remove this file and results/{dataset}/split to begin anew with those that are there"
            )
        if settings["ctf"] is not None:
            ctf_of(dataset)
        if settings["exposures"] is not None:
            match_exposures(settings["exposures"], micrograph_names(dataset))


def microscope(dataset):
    """What a dataset's entry says of its microscope."""
    keys = ("voltage_kv", "spherical_aberration_mm", "amplitude_contrast")
    return {key: config["datasets"][dataset][key] for key in keys}


@cache
def batches_of(dataset):
    """Micrographs of every batch of a dataset, in order, as {batch: {name: path}}."""
    rows = micrographs[micrographs["dataset"] == dataset]
    batches = {}
    for batch, name, path in zip(rows["batch"], rows["micrograph"], rows["path"]):
        batches.setdefault(batch, {})[name] = path
    return batches


def micrograph_names(dataset):
    """Micrographs of a dataset, in the order of their batches."""
    return [name for rows in batches_of(dataset).values() for name in rows]


@cache
def addition_of(dataset):
    """Addition to which each batch of a dataset belongs, in order."""
    rows = micrographs[micrographs["dataset"] == dataset]
    return dict(zip(rows["batch"], rows["addition"]))


def batch_files(wildcards):
    """Micrograph files of a batch that can be opened; the rule prepare quarantines others, Snakemake would stop there."""
    paths = batches_of(wildcards.dataset).get(wildcards.batch, {}).values()
    return [path for path in paths if Path(path).is_file() and os.access(path, os.R_OK)]


def batch_paths(wildcards):
    """Micrographs of a batch as {name: path}."""
    simulation = f"results/{wildcards.dataset}/simulation/{wildcards.batch}.h5"
    rows = batches_of(wildcards.dataset).get(wildcards.batch, {})
    return {name: path or simulation for name, path in rows.items()}


def star_paths(wildcards):
    """Paths by which star files name the micrographs of a batch, or of all, as {name: path}."""
    batches = batches_of(wildcards.dataset)
    wanted = [wildcards.batch] if "batch" in wildcards.keys() else batches
    # simulated micrographs are exported as MRC, others linked under their own file name
    return {
        name: f"results/{wildcards.dataset}/micrographs/{Path(path or f'{name}.mrc').name}"
        for batch in wanted
        for name, path in batches.get(batch, {}).items()
    }


def simulation_settings(wildcards):
    """What a simulated micrograph depends on, which is not how many there are."""
    settings = config["datasets"][wildcards.dataset]["simulation"]
    return {key: value for key, value in settings.items() if key != "n_micrographs"}


def simulation_batch(wildcards):
    """The simulated images of a batch; nothing for a dataset of files."""
    if wildcards.dataset in SIMULATED:
        return [f"results/{wildcards.dataset}/simulation/{wildcards.batch}.h5"]
    return []


def simulation_truth(wildcards):
    """Positions and defocus of a simulated batch; nothing for a dataset of files."""
    if wildcards.dataset in SIMULATED:
        return [f"results/{wildcards.dataset}/simulation/{wildcards.batch}.star"]
    return []


def simulation_batches(wildcards):
    """The simulated images of a dataset; nothing for a dataset of files."""
    if wildcards.dataset in SIMULATED:
        return all_batches("results/{dataset}/simulation/{batch}.h5")(wildcards)
    return []


def dataset_paths(wildcards):
    """Micrographs of a dataset as {name: path}, in the order of their batches."""
    return {
        name: path or f"results/{wildcards.dataset}/simulation/{batch}.h5"
        for batch, rows in batches_of(wildcards.dataset).items()
        for name, path in rows.items()
    }


def dataset_optics(wildcards):
    """What a dataset's entry says of its microscope and particle."""
    keys = ("pixel_size", "particle_diameter_angstrom")
    sizes = {key: config["datasets"][wildcards.dataset][key] for key in keys}
    return sizes | microscope(wildcards.dataset)


def coordinate_settings(wildcards):
    """Format and origin of a dataset's coordinates; a simulation writes RELION's."""
    if wildcards.dataset in SIMULATED:
        return {"format": "relion-particles", "origin": "top-left"}
    settings = config["datasets"][wildcards.dataset]["coordinates"]
    pixel_size = config["datasets"][wildcards.dataset]["pixel_size"]
    return {
        "format": settings["format"],
        "origin": settings["origin"],
        "refined_pixel_size": pixel_size if settings["subtract_origins"] else None,
    }


def coordinate_quarantine(wildcards):
    """Table of the refused coordinates, where a dataset has coordinates."""
    if wildcards.dataset in LABELLED:
        return [f"results/{wildcards.dataset}/quarantine/coordinates.tsv"]
    return []


@cache
def ctf_of(dataset):
    """CTF of a dataset's micrographs in the file that its entry names."""
    from crisp_core.importing import import_ctf

    path = config["datasets"][dataset]["ctf"]
    return import_ctf(path, micrograph_names(dataset), **microscope(dataset))


def batch_ctf(wildcards):
    """Lines of a batch in the dataset's CTF file, so that a file that grows makes again only what it changes."""
    ctf = ctf_of(wildcards.dataset)
    names = list(batches_of(wildcards.dataset).get(wildcards.batch, {}))
    rows = ctf.micrographs[ctf.micrographs["micrograph"].isin(names)]
    groups = ctf.groups[ctf.groups["rlnOpticsGroup"].isin(rows["optics_group"])]
    return {"micrographs": rows.to_dict("list"), "groups": groups.to_dict("list")}


def imported_ctf(wildcards):
    """CTF of a batch, where the dataset names a CTF file."""
    if config["datasets"][wildcards.dataset]["ctf"] is None:
        return []
    return [f"results/{wildcards.dataset}/ctf/{wildcards.batch}.star"]


def ctf_quarantine(wildcards):
    """Tables of the micrographs without CTF, where the dataset names a CTF file."""
    if config["datasets"][wildcards.dataset]["ctf"] is None:
        return []
    return all_batches("results/{dataset}/quarantine/ctf-{batch}.tsv")(wildcards)


def disc_radius_angstrom(wildcards):
    """Radius of disc labels; a quarter of the diameter unless the dataset's entry says otherwise."""
    settings = config["datasets"][wildcards.dataset]
    radius = settings["labels"]["disc_radius_angstrom"]
    return settings["particle_diameter_angstrom"] / 4 if radius is None else radius


def labelled_by(*sources):
    """Wildcard constraint: the datasets whose labels come from one of the sources."""
    return one_of([d for d in LABELLED if LABEL_SOURCES[d] in sources])


def outline_poses(wildcards):
    """Orientations for outlines: the user's, those of the simulation, or those that a reconstruction found."""
    if LABEL_SOURCES[wildcards.dataset] != "poses":
        return [f"results/{wildcards.dataset}/reconstruction/poses.star"]
    given = config["datasets"][wildcards.dataset]["labels"]["poses"]
    if given is not None:
        return [given]
    return [f"results/{wildcards.dataset}/simulation/{wildcards.batch}.star"]


def outline_map(wildcards):
    """Map for outlines: of the reconstruction, the user's, or the simulation's; nothing where a mask does without."""
    if LABEL_SOURCES[wildcards.dataset] != "poses":
        return [f"results/{wildcards.dataset}/reconstruction/map.mrc"]
    given = config["datasets"][wildcards.dataset]["labels"]["map"]
    if given is not None:
        return [given]
    if wildcards.dataset in SIMULATED:
        return [f"results/{wildcards.dataset}/density.mrc"]
    return []


def initial_map(wildcards):
    """Map from which orientations are found: the user's; for matching, otherwise the simulation's."""
    given = config["datasets"][wildcards.dataset]["labels"]["map"]
    source = LABEL_SOURCES[wildcards.dataset]
    if source == "aspire" or (given is None and source == "relion"):
        return []
    return [f"results/{wildcards.dataset}/density.mrc" if given is None else given]


def poses_origin(wildcards):
    """Where y = 0 is for the orientations; those that the workflow made itself follow its own images."""
    labels = config["datasets"][wildcards.dataset]["labels"]
    own = LABEL_SOURCES[wildcards.dataset] != "poses" or labels["poses"] is None
    return "top-left" if own else labels["poses_origin"]


def outline_settings(wildcards):
    """What the outlines depend on beside files."""
    keys = "map_lowpass_angstrom threshold without_orientation disc_radius_angstrom instances"
    labels = config["datasets"][wildcards.dataset]["labels"]
    return {key: labels[key] for key in keys.split()}


def coordinate_files(wildcards):
    """Coordinate files of an addition to a dataset: the user's, or those of its simulation."""
    if wildcards.dataset in SIMULATED:
        return addition_batches("results/{dataset}/simulation/{batch}.star")(wildcards)
    return [
        path
        for path, addition in addition_of_coordinates(wildcards.dataset).items()
        if addition in (wildcards.addition, EVERY)
    ]


def stranger_files(wildcards):
    """The user's coordinate files that concern no micrograph of the dataset, perhaps none that has arrived yet."""
    if wildcards.dataset in SIMULATED:
        return []
    additions = addition_of_coordinates(wildcards.dataset)
    return [path for path, addition in additions.items() if addition is None]


@cache
def addition_of_coordinates(dataset):
    """Addition to which each of the user's coordinate files belongs; EVERY for those of many micrographs, or None."""
    from crisp_core.coordinates import match_names, names_micrographs

    settings = config["datasets"][dataset]["coordinates"]
    files = matching_files(settings["files"])
    rows = micrographs[micrographs["dataset"] == dataset]
    additions = dict(zip(rows["micrograph"], rows["addition"]))
    named = match_names(files, list(additions), required=False)["micrograph"]
    found = {path: additions.get(name) for path, name in zip(files, named)}
    for path in files:
        if found[path] is None and names_micrographs(path, format=settings["format"]):
            found[path] = EVERY
    # where nothing fits, the import says so
    return found if any(found.values()) else dict.fromkeys(files, EVERY)


def optional_file(*keys):
    """Input function: the file that a dataset's setting names, or nothing where it is null."""

    def files(wildcards):
        value = config["datasets"][wildcards.dataset]
        for key in keys:
            value = value[key]
        return [] if value is None else [value]

    return files


def volume_file(wildcards):
    """Input function: the map or model of a simulation, where that is a file."""
    path = volume_path(wildcards.dataset)
    return [] if path is None else [path]


def dataset_batches(dataset):
    """Batch numbers of a dataset, in order."""
    return list(batches_of(dataset))


def batches_by(choose, pattern):
    """Input function: `pattern`, which holds {batch}, for the batches that `choose` gives for the wildcards."""

    def files(wildcards):
        return collect(
            pattern,
            batch=choose(wildcards),
            dataset=wildcards.dataset,
            experiment=wildcards.get("experiment", ""),
        )

    return files


def all_batches(pattern):
    """Input function: `pattern`, which holds {batch}, for every batch of the dataset."""
    return batches_by(lambda wildcards: dataset_batches(wildcards.dataset), pattern)


def addition_batches(pattern):
    """Input function: `pattern` for every batch of an addition; of the first one where a rule knows no additions."""

    def chosen(wildcards):
        addition = wildcards.get("addition", FIRST)
        additions = addition_of(wildcards.dataset)
        return [batch for batch, number in additions.items() if number == addition]

    return batches_by(chosen, pattern)


def training_batches(pattern):
    """Input function: `pattern` for the batches from which the dataset's training and validation parts are taken."""
    return batches_by(lambda wildcards: batches_to_train(wildcards.dataset), pattern)


@cache
def batches_to_train(dataset):
    """Batches with a micrograph that the split lists for training or validation; of the first run where it counts.

    No other batch is an input of a training, so that micrographs that are added later do not train it again.
    """
    parts = config["datasets"][dataset]["split"]
    listed = set()
    if isinstance(parts["train"], list):
        listed = {*parts["train"], *parts["validation"]}
    batches = [
        batch for batch, rows in batches_of(dataset).items() if listed & rows.keys()
    ]
    additions = addition_of(dataset).items()
    return batches or [batch for batch, addition in additions if addition == FIRST]


def of_all_additions(pattern):
    """Input function: `pattern`, which holds {addition}, for every addition to the dataset."""

    def files(wildcards):
        numbers = dict.fromkeys(addition_of(wildcards.dataset).values())
        return collect(pattern, addition=numbers, dataset=wildcards.dataset)

    return files


def of_trained_additions(pattern):
    """Input function: `pattern`, which holds {addition}, for those with training or validation micrographs."""

    def files(wildcards):
        additions = addition_of(wildcards.dataset)
        numbers = [additions[batch] for batch in batches_to_train(wildcards.dataset)]
        return collect(
            pattern, addition=dict.fromkeys(numbers), dataset=wildcards.dataset
        )

    return files


def of_batch_addition(pattern):
    """Input function: `pattern`, which holds {addition}, for the one to which the batch belongs."""

    def file(wildcards):
        addition = addition_of(wildcards.dataset).get(wildcards.batch, FIRST)
        return pattern.format(dataset=wildcards.dataset, addition=addition)

    return file


def labelled_names(wildcards):
    """Matched names of the first run and of the addition to which a batch belongs."""
    addition = addition_of(wildcards.dataset).get(wildcards.batch, FIRST)
    return [
        f"results/{wildcards.dataset}/coordinates/{number}-names.tsv"
        for number in dict.fromkeys([FIRST, addition])
    ]


def drawn_micrographs(wildcards):
    """Names of the micrographs from which the training and validation parts may be drawn."""
    batches = batches_of(wildcards.dataset)
    additions = addition_of(wildcards.dataset)
    wanted = {additions[batch] for batch in batches_to_train(wildcards.dataset)}
    return [name for b in batches if additions[b] in wanted for name in batches[b]]


def searched_labels(wildcards):
    """The labels, where the finders are compared on them; else nothing."""
    if config["experiments"][wildcards.experiment]["centers"]["maps"] == "labels":
        return training_batches("results/{dataset}/labels/{batch}.h5")(wildcards)
    return []


def particle_diameter_px(wildcards):
    """Diameter of a dataset's particle in pixels of its micrographs."""
    optics = dataset_optics(wildcards)
    return optics["particle_diameter_angstrom"] / optics["pixel_size"]


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
    if Path(trained).as_posix() in RUN_FOLDERS:
        return trained_run(*Path(trained).parts[-2:])
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


def trained_checkpoint(folder):
    """What predicts in the folder of an earlier run: crf.pt where there is one, else network.pt."""
    return folder / ("crf.pt" if (folder / "crf.pt").exists() else "network.pt")


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


def check_resolution(name):
    """Refuse an experiment's section resolution that names files which are not there."""
    settings = config["experiments"][name]["resolution"]
    named = {f"refined/{key}": path for key, path in settings["refined"].items()}
    named |= {
        f"picks/{key}": (matching_files(patterns) or [patterns])[0]
        for key, patterns in settings["picks"].items()
    }
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
    for _, name in known:
        or_exit(check_resolution, name)
    return [f"results/{dataset}/{name}/resolution/fsc.png" for dataset, name in known]


def picks_quarantine(wildcards):
    """Tables of the refused files of picks of the experiments that run on a dataset."""
    return [
        f"results/{run}/quarantine.tsv"
        for run in RUNS
        if Path(run).parent.name == wildcards.dataset
        and picker_name(config["experiments"][Path(run).name]) == "files"
    ]


def picked_files(wildcards):
    """Input function: the files from which an experiment's picks are read."""
    return matching_files(
        config["experiments"][wildcards.experiment]["picker"]["files"]
    )


def picker_keys(*keys):
    """Params function: settings of an experiment's picker, those of them that its program has."""

    def settings(wildcards):
        picker = config["experiments"][wildcards.experiment]["picker"]
        return {key: picker[key] for key in keys if key in picker}

    return settings


def training_keys(wildcards):
    """Settings of an experiment's picker on which its training depends."""
    picker = config["experiments"][wildcards.experiment]["picker"]
    later = ("threshold", "leak", "radius_diameters")
    return {key: value for key, value in picker.items() if key not in later}


def topaz_detector(wildcards):
    """Input function: the detector that Topaz trains; nothing for one that comes with Topaz."""
    picker = config["experiments"][wildcards.experiment]["picker"]
    own = f"results/{wildcards.dataset}/{wildcards.experiment}/detector.sav"
    return [own] if picker["program"] == "topaz" else []


def found_pattern(experiment):
    """What another picker found in a batch, or for picks from files in all of them."""
    kind = picker_name(config["experiments"][experiment])
    if kind == "files":
        return "results/{dataset}/{experiment}/imported.star"
    return f"results/{{dataset}}/{{experiment}}/found/{kind.removesuffix('-pretrained')}/{{batch}}.star"


def found_picks(wildcards):
    """Input function: what another picker found in a batch."""
    return found_pattern(wildcards.experiment)


def all_found(wildcards):
    """Input function: all that another picker found."""
    return sorted(set(all_batches(found_pattern(wildcards.experiment))(wildcards)))


def names_of(dataset, experiment):
    """Table of the micrographs that files of picks name; programs see all."""
    files = picker_name(config["experiments"][experiment]) == "files"
    return [f"results/{dataset}/{experiment}/picked_names.tsv"] if files else []


def picked_names(wildcards):
    """Input function: table of the micrographs that an experiment's files of picks name."""
    return names_of(wildcards.dataset, wildcards.experiment)


def chosen_threshold(wildcards):
    """Input function: the threshold of another picker, where it is chosen on the validation part."""
    threshold = config["experiments"][wildcards.experiment]["picker"]["threshold"]
    own = f"results/{wildcards.dataset}/{wildcards.experiment}/threshold.yaml"
    return [own] if threshold is None else []


def compared_entries(wildcards):
    """Experiments of a comparison."""
    return config["comparisons"][wildcards.comparison]["entries"]


def compared_stars(kind):
    """Input function: picks or candidates of all entries, batch by batch."""

    def files(wildcards):
        return collect(
            "results/{dataset}/{experiment}/{kind}/{batch}.star",
            dataset=wildcards.dataset,
            experiment=compared_entries(wildcards),
            kind=kind,
            batch=dataset_batches(wildcards.dataset),
        )

    return files


def compared_names(wildcards):
    """Input function: which micrographs the files of those entries name whose picks come from files."""
    entries = compared_entries(wildcards)
    return [path for entry in entries for path in names_of(wildcards.dataset, entry)]


def entry_facts(wildcards):
    """What the config says of the entries of a comparison: kind, leak, and where the threshold comes from."""
    facts = {}
    for entry in compared_entries(wildcards):
        experiment = config["experiments"][entry]
        if experiment["picker"]:
            threshold = experiment["picker"]["threshold"]
            leak = experiment["picker"]["leak"]
        else:
            threshold = experiment["centers"]["threshold"]
            # an earlier run may have had other parts
            own, _ = trained_run(wildcards.dataset, entry)
            leak = "unknown" if own is None else False
        facts[entry] = {
            "kind": picker_name(experiment) or "network",
            "leak": {True: "yes", False: "no"}.get(leak, leak),
            "threshold_from": "validation" if threshold is None else str(threshold),
        }
    return facts


def entry_jobs(wildcards):
    """Folders and rules whose times are the cost of training and of picking, for each entry of a comparison."""
    jobs = {}
    for entry in compared_entries(wildcards):
        own = f"results/{wildcards.dataset}/{entry}"
        kind = picker_name(config["experiments"][entry])
        if kind is None:
            first = Path(first_network(wildcards.dataset, entry))
            last = Path(predictor(wildcards.dataset, entry))
            training = [(first.parent.as_posix(), "train")]
            if last.name == "crf.pt":
                training.append((last.parent.as_posix(), "train_crf"))
            picking = [(own, "predict"), (own, "pick")]
        else:
            rule_name = f"pick_{kind.removesuffix('-pretrained').replace('-', '_')}"
            training = [(own, "train_topaz")]
            picking = [(own, rule_name)]
        jobs[entry] = {"training": training, "picking": picking}
    return jobs


def one_of(names):
    """Wildcard constraint: one of the names; no name at all matches nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def core_digest(script):
    """Digest of the crisp_core modules that a script imports: a rule reruns when one of them changes, and only then."""
    root = Path(workflow.basedir)
    return code_digest(root / "workflow_scripts" / f"{script}.py", root=root)


def page_digest():
    """Digest of the report's template, style and script, which `core_digest` does not see."""
    folder = Path(workflow.basedir) / "crisp_core/report"
    names = ("page.html", "style.css", "viewer.js")
    text = b"".join((folder / name).read_bytes() for name in names)
    return hashlib.sha256(text).hexdigest()[:12]


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


def extra_results(dataset, experiment):
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
    return {
        path.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in found
    }


# before defaults are filled in: what another call of the workflow is given
given_config = copy.deepcopy(config)
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
REPORTS = ["results/report.html", "report.html"]
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
