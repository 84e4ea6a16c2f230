import ast
import copy
import glob
import hashlib
import re
import sys
from pathlib import Path

import pandas as pd
import yaml

from crisp_core.errors import UserError
from crisp_core.settings import (
    check_settings,
    label_source,
    network_owner,
    particle_boxes,
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
    """Files that match a glob or path, or a list of them; a path that names no file stays, to be quarantined by name."""
    patterns = [patterns] if isinstance(patterns, str) else patterns
    return [
        path
        for pattern in patterns
        for path in (
            sorted(glob.glob(pattern, recursive=True))
            if glob.has_magic(pattern)
            else [pattern]
        )
    ]


def dataset_micrographs(dataset):
    """Rows (micrograph, path) of one dataset; simulated micrographs have no path."""
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
    return rows


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
            "simulation/volume": volume_path(dataset),
            "labels/poses": settings["labels"]["poses"],
            "labels/map": settings["labels"]["map"],
            "labels/mask": settings["labels"]["mask"],
        }
        if dataset in COORDINATES_GIVEN:
            files = matching_files(settings["coordinates"]["files"])
            missing = [path for path in files if not Path(path).exists()]
            named["coordinates/files"] = missing[0] if missing else None
            if not files:
                raise UserError(
                    f"config, datasets/{dataset}/coordinates/files: no file matches "
                    f"{settings['coordinates']['files']}; correct the path or glob"
                )
        for key, path in named.items():
            if path is not None and not Path(path).exists():
                raise UserError(
                    f"config, datasets/{dataset}/{key}: {path} does not exist; correct the path"
                )
    for run in RUNS:
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


def micrograph_table():
    """One row per micrograph of the datasets in use: dataset, micrograph, path, batch."""
    rows = []
    for dataset in DATASETS:
        seen = {}
        for i, (name, path) in enumerate(dataset_micrographs(dataset)):
            if name in seen:
                raise UserError(
                    f"config, datasets/{dataset}: {seen[name]} and {path} share the "
                    f"name {name}; rename one, since results are named by it"
                )
            seen[name] = path
            rows.append(
                (dataset, name, path, f"{i // config['micrographs_per_job']:04d}")
            )
    return pd.DataFrame(rows, columns=["dataset", "micrograph", "path", "batch"])


def batch_rows(wildcards):
    """Rows of the micrograph table that belong to a batch."""
    return micrographs.query(
        "dataset == @wildcards.dataset and batch == @wildcards.batch"
    )


def batch_files(wildcards):
    """Existing micrograph files of a batch; one that is missing is quarantined by the rule prepare."""
    return [
        path for path in batch_rows(wildcards)["path"] if path and Path(path).exists()
    ]


def batch_paths(wildcards):
    """Micrographs of a batch as {name: path}."""
    rows = batch_rows(wildcards)
    simulation = f"results/{wildcards.dataset}/simulation/{wildcards.batch}.h5"
    return {
        name: path or simulation for name, path in zip(rows["micrograph"], rows["path"])
    }


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
    rows = micrographs.query("dataset == @wildcards.dataset")
    return {
        name: path or f"results/{wildcards.dataset}/simulation/{batch}.h5"
        for name, path, batch in zip(rows["micrograph"], rows["path"], rows["batch"])
    }


def dataset_optics(wildcards):
    """What a dataset's entry says of its microscope and particle."""
    keys = (
        "pixel_size voltage_kv spherical_aberration_mm amplitude_contrast "
        "particle_diameter_angstrom"
    ).split()
    return {key: config["datasets"][wildcards.dataset][key] for key in keys}


def coordinate_settings(wildcards):
    """Format and origin of a dataset's coordinates; a simulation writes RELION's."""
    if wildcards.dataset in SIMULATED:
        return {"format": "relion-particles", "origin": "top-left"}
    settings = config["datasets"][wildcards.dataset]["coordinates"]
    return {key: settings[key] for key in ("format", "origin")}


def coordinate_quarantine(wildcards):
    """Table of the refused coordinates, where a dataset has coordinates."""
    if wildcards.dataset in LABELLED:
        return [f"results/{wildcards.dataset}/quarantine/coordinates.tsv"]
    return []


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
    """Coordinate files of a dataset: the user's, or those of its simulation."""
    if wildcards.dataset in SIMULATED:
        return all_batches("results/{dataset}/simulation/{batch}.star")(wildcards)
    return matching_files(config["datasets"][wildcards.dataset]["coordinates"]["files"])


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
    return micrographs.query("dataset == @dataset")["batch"].unique().tolist()


def all_batches(pattern):
    """Input function: `pattern`, which holds {batch}, for every batch of the dataset."""

    def files(wildcards):
        return collect(
            pattern,
            batch=dataset_batches(wildcards.dataset),
            dataset=wildcards.dataset,
            experiment=wildcards.get("experiment", ""),
        )

    return files


def searched_labels(wildcards):
    """The labels, where the finders are compared on them; else nothing."""
    if config["experiments"][wildcards.experiment]["centers"]["maps"] == "labels":
        return all_batches("results/{dataset}/labels/{batch}.h5")(wildcards)
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


def own_network(wildcards):
    """Input function: the network that this experiment, or one that it extends, trained before any CRF."""
    owner = network_owner(config["experiments"], wildcards.experiment)
    return f"results/{wildcards.dataset}/{owner}/network.pt"


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
    paths = []
    for dataset, _, _, experiment in table_runs(wildcards):
        run, folder = trained_run(dataset, experiment)
        if run is None:
            paths.append(str(trained_checkpoint(folder)))
        else:
            owner = network_owner(config["experiments"], run[1])
            paths.append(f"results/{run[0]}/{owner}/network.pt")
    return paths


def one_of(names):
    """Wildcard constraint: one of the names; no name at all matches nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


def core_digest(script):
    """Digest of the crisp_core modules that a script imports, directly or through others.

    A rule that passes it as a parameter reruns when one of them changes, and only then.
    """
    root = Path(workflow.basedir)
    todo, done = [root / "workflow_scripts" / f"{script}.py"], {}
    while todo:
        path = todo.pop()
        done[path] = path.read_bytes()
        for module in imported_modules(ast.parse(done[path])):
            file = (root / Path(*module.split("."))).with_suffix(".py")
            if file.is_file() and file not in done:
                todo.append(file)
    code = b"".join(
        text
        for path, text in sorted(done.items())
        if path.parent.name != "workflow_scripts"
    )
    return hashlib.sha256(code).hexdigest()[:12]


def imported_modules(tree):
    """Names of all modules that a parsed file may import, `from a import b` as a and as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# before defaults are filled in: what another call of the workflow is given
given_config = copy.deepcopy(config)
config = or_exit(checked_config)
RUNS = config["run"]
RUN_FOLDERS = collect("results/{run}", run=RUNS)
TABLE_ROWS = [row for table in config["tables"].values() for row in table["rows"]]
DATASETS = sorted({str(Path(run).parent) for run in RUNS + TABLE_ROWS} - {"."})
SIMULATED = [d for d in DATASETS if "simulation" in config["datasets"][d]]
COORDINATES_GIVEN = [d for d in DATASETS if "coordinates" in config["datasets"][d]]
LABELLED = SIMULATED + COORDINATES_GIVEN
LABEL_SOURCES = {
    dataset: label_source(config["datasets"][dataset]) for dataset in DATASETS
}
or_exit(check_files)
micrographs = or_exit(micrograph_table)

PARTICLES = collect(
    "results/{run}/{star}.star", run=RUNS, star=["particles", "autopick"]
)
RUN_DATASETS = sorted({str(Path(run).parent) for run in RUNS})
LABELS = [
    f"results/{dataset}/labels/{batch}.h5"
    for dataset in RUN_DATASETS
    if dataset in LABELLED
    for batch in dataset_batches(dataset)
]
SEARCHED_HERE = [
    run for run in RUNS if config["experiments"][Path(run).name]["trained"] is None
]
TRAINED_HERE = sorted(
    {
        f"{Path(run).parent}/{network_owner(config['experiments'], Path(run).name)}"
        for run in SEARCHED_HERE
    }
)
TRAINABLE = [
    name
    for name, experiment in config["experiments"].items()
    if experiment["trained"] is None
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
    result=[
        "metrics/pixels.tsv",
        "metrics/picks.tsv",
        "plots/precision_recall.png",
        "plots/calibration.png",
        "plots/overlays",
    ],
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

RESULTS = (
    PARTICLES
    + EVALUATIONS
    + collect("results/{run}/dropped.tsv", run=RUNS)
    + collect(
        "results/{dataset}/{table}",
        dataset=RUN_DATASETS,
        table=["quarantine.tsv", "micrographs"],
    )
)


wildcard_constraints:
    dataset=one_of(DATASETS),
    experiment="[A-Za-z0-9_-]+",
    table="[A-Za-z0-9_-]+",
    batch=r"\d{4}",
