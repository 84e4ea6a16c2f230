# Micrographs, the batches that one job handles, and files of all or some of them
import glob
import os
import re
from functools import cache
from pathlib import Path

import pandas as pd

from crisp_core.batches import Place, placed, read_places, write_places
from crisp_core.errors import UserError
from crisp_core.exported import exported_name, is_mrc
from crisp_core.pixel_sizes import agreed_pixel_size, stated_pixel_size
from crisp_core.star import micrograph_stem


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


def places_file(dataset):
    """Record of the micrographs' batches, by which a micrograph stays in the batch that it once was in."""
    return Path(f"results/{dataset}/batches.tsv")


def dataset_places(dataset, kept):
    """Paths and places of a dataset's micrographs, as two mappings from their names."""
    paths = {}
    for name, path in dataset_micrographs(dataset, kept):
        shown = path.encode(errors="replace").decode()
        if shown != path or re.search(
            r"[{}\t\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", path
        ):
            raise UserError(
                f"config, datasets/{dataset}/micrographs: {shown} has a brace, a tab, a line break or what is no "
                "UTF-8 in its path; rename it"
            )
        if name in paths:
            raise UserError(
                f"config, datasets/{dataset}: {paths[name]} and {path} share the "
                f"name {name}; rename one, since results are named by it"
            )
        paths[name] = path
    drawn = Path(f"results/{dataset}/split/drawn.tsv").exists()
    size = config["micrographs_per_job"]
    return paths, placed(paths, kept, size=size, closed=drawn)


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


def file_states(wildcards):
    """Size (bytes) and time (s) of a batch's files; Snakemake alone does not see a file that an older one replaced."""
    states = {path: Path(path).stat() for path in batch_files(wildcards)}
    return {
        path: (state.st_size, int(state.st_mtime)) for path, state in states.items()
    }


def batch_paths(wildcards):
    """Micrographs of a batch as {name: path}."""
    simulation = f"results/{wildcards.dataset}/simulation/{wildcards.batch}.h5"
    rows = batches_of(wildcards.dataset).get(wildcards.batch, {})
    return {name: path or simulation for name, path in rows.items()}


def star_paths(wildcards):
    """Paths by which star files name the micrographs of a batch, or of all, as {name: path}."""
    batches = batches_of(wildcards.dataset)
    wanted = [wildcards.batch] if "batch" in wildcards.keys() else batches
    return {
        name: f"results/{wildcards.dataset}/micrographs/{exported_name(path or f'{name}.mrc')}"
        for batch in wanted
        for name, path in batches.get(batch, {}).items()
    }


def converted_batches(wildcards):
    """Folders of the micrographs that were converted to MRC, for the batches that have any."""
    return [
        f"results/{wildcards.dataset}/converted/{batch}"
        for batch, rows in batches_of(wildcards.dataset).items()
        if not all(is_mrc(path) for path in rows.values() if path)
    ]


@cache
def agreed_header(dataset):
    """Pixel size on which the headers of a dataset's first batch agree; the same for all batches, also later ones."""
    first = next(iter(batches_of(dataset).values()), {})
    stated = [stated_pixel_size(path) for path in first.values() if path]
    return agreed_pixel_size(stated, config["datasets"][dataset]["pixel_size"])


def header_pixel_size(wildcards):
    """Pixel size that the headers of a dataset's micrographs state, or None."""
    return agreed_header(wildcards.dataset)


def dataset_paths(wildcards):
    """Micrographs of a dataset as {name: path}, in the order of their batches."""
    return {
        name: path or f"results/{wildcards.dataset}/simulation/{batch}.h5"
        for batch, rows in batches_of(wildcards.dataset).items()
        for name, path in rows.items()
    }


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
