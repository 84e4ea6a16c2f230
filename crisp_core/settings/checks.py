"""Settings checked against a JSON schema: defaults filled in, one line for the first thing that is wrong."""

import copy
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema.protocols

from crisp_core.errors import UserError
from crisp_core.geometry import angstrom_to_px
from crisp_core.particles.boxes import Boxes, choose_boxes
from crisp_core.paths import with_home
from crisp_core.segmentation.checkpoints import (
    SIZE_TOLERANCE,
    NetworkInput,
    input_difference,
    network_input,
    read_facts,
)
from crisp_core.settings.named import check_finder, check_losses

# Width of a particle on the images of a network that nothing else decides: docs/performance.md, working resolution.
PIXELS_PER_DIAMETER = 25
LARGEST_NUMBER = 1e12


def check_settings(settings: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Fill the schema's defaults into `settings`, in place, and return them; `~` in paths becomes the user's folder.

    What has the schema's format `path` is a path.
    Entries that `extend` another get what they do not say themselves from it, and tables get their experiments for
    every seed, under the names of `seeded_name`.

    Raises
    ------
    UserError
        For an unknown key, a wrong type or value, or an impossible combination: its place, and what is allowed.
    """
    check_values("config", settings)
    given = copy.deepcopy(settings.get("experiments"))
    for section in ("datasets", "networks", "experiments"):
        if isinstance(settings.get(section), dict):
            settings[section] = {name: extended(settings[section], name, section) for name in settings[section]}
    check_trained(given, settings.get("experiments"))
    check_pickers(given, settings.get("experiments"))
    check_named_networks(given, settings.get("experiments"))
    error = jsonschema.exceptions.best_match(FillingValidator(schema).iter_errors(settings))
    if error is not None:
        place = "/".join(str(key) for key in error.absolute_path) or "top level"
        raise UserError(f"config, {place}: {_explain(error)}")
    check_references(settings)
    # first the datasets by which networks are compared with others
    compared = {entry["datasets"][0] for entry in settings["networks"].values()}
    for name in sorted(settings["datasets"], key=lambda name: name not in compared):
        fill_working_pixel_size(name, settings)
    for name, dataset in settings["datasets"].items():
        check_dataset(name, dataset)
    for section in ("experiments", "networks"):
        for name, entry in settings[section].items():
            check_recipe(f"config, {section}/{name}", entry)
    for name, experiment in settings["experiments"].items():
        check_experiment(name, experiment)
    for name in settings["networks"]:
        check_network(name, settings)
    for run in settings["run"]:
        check_run(run, settings)
    for name in settings["tables"]:
        check_table(name, settings)
    for name in settings["comparisons"]:
        check_comparison(name, settings)
    own_names = {section: set(settings[section]) for section in ("experiments", "networks")}
    for table in settings["tables"].values():
        for row in table["rows"]:
            for seed in table["seeds"]:
                add_seeded(settings, Path(row).name, seed, own_names)
    return settings


def check_values(place: str, value: Any) -> None:
    """Refuse what passes a schema: NaN, infinity and numbers beyond any sense, and keys that are no text."""
    if isinstance(value, int | float) and not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        raise UserError(f"{place}: is NaN, infinite or beyond 1e12; give a number that can be meant")
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        if isinstance(value, dict) and not isinstance(key, str):
            raise UserError(f"{place}: the key {key} is no text; put it in quotes")
        check_values(f"{place}{', ' if place == 'config' else '/'}{key}", value[key])


def extended(entries: Mapping[str, Any], name: str, section: str) -> Any:
    """One entry with what it inherits: mappings are merged at every depth, anything else is replaced.

    Raises
    ------
    UserError
        If an entry extends one that is not there, or, in the end, itself.
    """
    entry, chain = entries[name], [name]
    while isinstance(entries[chain[-1]], dict) and (parent := entries[chain[-1]].get("extend")) is not None:
        if not isinstance(parent, str):
            raise UserError(f"config, {section}/{chain[-1]}/extend: {parent} is no name; give the name of one entry")
        if parent not in entries:
            raise UserError(
                f"config, {section}/{chain[-1]}/extend: there is no {parent!r}; defined are {', '.join(entries)}"
            )
        if parent in chain:
            raise UserError(f"config, {section}/{name}/extend: {' extends '.join([*chain, parent])}; break the circle")
        chain.append(parent)
    for parent in chain[1:]:
        entry = _merged(entries[parent], entry)
    return entry


def _merged(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return copy.deepcopy(new)
    return {key: _merged(old.get(key), new[key]) if key in new else copy.deepcopy(old[key]) for key in {**old, **new}}


def seeded_name(experiment: str, seed: int, settings: Mapping[str, Any]) -> str:
    """Name of an experiment with a seed: its own name for its own seed, else that of the copy that a table repeats."""
    entry = settings["experiments"][experiment]
    named = isinstance(entry["network"], str) and entry["network"] in settings["networks"]
    own = settings["networks"][entry["network"]]["seed"] if named else entry["seed"]
    return experiment if seed == (settings["seed"] if own is None else own) else f"{experiment}-seed{seed}"


def add_seeded(settings: dict[str, Any], name: str, seed: int, own_names: Mapping[str, Collection[str]]) -> None:
    """Add copies of an experiment, of its named network and of those that it extends, with another seed; in place.

    Raises
    ------
    UserError
        If one of the config's own experiments or networks has the name of the copy.
    """
    new = seeded_name(name, seed, settings)
    if new == name:
        return
    check_free_name("experiments", name, new, seed, own_names)
    if new in settings["experiments"]:
        return
    entry = copy.deepcopy(settings["experiments"][name]) | {"seed": seed}
    settings["experiments"][new] = entry
    if isinstance(entry["network"], str) and entry["network"] in settings["networks"]:
        network, entry["network"] = entry["network"], f"{entry['network']}-seed{seed}"
        check_free_name("networks", network, entry["network"], seed, own_names)
        settings["networks"].setdefault(entry["network"], settings["networks"][network] | {"seed": seed})
    if entry["extend"] is not None:
        add_seeded(settings, entry["extend"], seed, own_names)
        entry["extend"] = seeded_name(entry["extend"], seed, settings)


def check_free_name(section: str, name: str, new: str, seed: int, own_names: Mapping[str, Collection[str]]) -> None:
    """Refuse an entry of the config with the name that the copy of another entry with a seed needs."""
    if new in own_names[section]:
        raise UserError(f"config, {section}/{new}: a table needs this name for {name} with seed {seed}; rename it")


def network_owner(experiments: Mapping[str, Any], name: str, *, with_crf: bool = False) -> str:
    """Experiment that trains the network of `name`: the farthest that it extends with an equal network and training.

    `with_crf` asks for the one that trains it further, with or without a CRF, whose section crf is equal too.
    """
    sections = ("picker", "network", "training", "seed", "trained", *(("crf",) if with_crf else ()))
    parent = experiments[name]["extend"]
    while parent is not None and all(experiments[name][key] == experiments[parent][key] for key in sections):
        name, parent = parent, experiments[parent]["extend"]
    return name


def _fill_defaults(
    validator: jsonschema.protocols.Validator, properties: Mapping[str, Any], instance: Any, schema: Mapping[str, Any]
) -> Iterator[jsonschema.ValidationError]:
    if isinstance(instance, dict):
        for key, subschema in properties.items():
            if "default" in subschema and key not in instance:
                instance[key] = copy.deepcopy(subschema["default"])
            if subschema.get("format") == "path" and key in instance:
                instance[key] = with_home(instance[key])
    yield from jsonschema.Draft202012Validator.VALIDATORS["properties"](validator, properties, instance, schema)


FillingValidator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"properties": _fill_defaults})


def _explain(error: jsonschema.ValidationError) -> str:
    """One sentence that says what is wrong and what would be right."""
    if error.validator == "additionalProperties":
        unknown = sorted(set(error.instance) - set(error.schema["properties"]))
        return f"unknown key {', '.join(map(repr, unknown))}; known are {', '.join(sorted(error.schema['properties']))}"
    if error.validator == "type" and isinstance(error.instance, str) and "number" in str(error.validator_value):
        return f"{error.instance!r} is text, not a number (YAML reads 1e-3 as text: write 1.0e-3)"
    if error.validator == "required" and not error.absolute_path:
        missing = ", ".join(key for key in error.validator_value if key not in error.instance)
        return f"{missing} is missing; a config file names run, datasets and experiments, as config.yaml does"
    description = error.schema.get("description")
    return error.message + (f" ({description})" if description else "")


def fill_working_pixel_size(name: str, settings: Mapping[str, Any]) -> None:
    """Let the networks see a dataset's particle at their size where nothing is said, and never finer than it is.

    Raises
    ------
    UserError
        If networks of different sizes are used on the dataset.
    """
    dataset = settings["datasets"][name]
    if dataset["preparation"]["working_pixel_size"] is not None:
        return
    sizes = pixels_per_diameter(name, settings)
    users = list(sizes)
    for user in users[1:]:
        if abs(sizes[user] - sizes[users[0]]) > SIZE_TOLERANCE * sizes[user]:
            raise UserError(
                f"config, datasets/{name}: {users[0]} sees its particle {sizes[users[0]]:.3g} px wide and {user} "
                f"{sizes[user]:.3g} px; make an entry with `extend: {name}` for one of them"
            )
    wanted = dataset["particle_diameter_angstrom"] / next(iter(sizes.values()), PIXELS_PER_DIAMETER)
    dataset["preparation"]["working_pixel_size"] = max(round(wanted, 2), dataset["pixel_size"])


def pixels_per_diameter(dataset: str, settings: Mapping[str, Any]) -> dict[str, float]:
    """Width (px) at which each network that is used on a dataset sees its particle, by its place in the config.

    An experiment with `trained` counts for nothing here: its folder's network is checked when the plan is made.
    """
    sizes = {}
    for name, entry in settings["networks"].items():
        if dataset in entry["datasets"]:
            sizes[f"networks/{name}"] = entry["network"]["pixels_per_diameter"]
    for name in [run.split("/")[1] for run in settings["run"] if run.split("/")[0] == dataset]:
        experiment = settings["experiments"].get(name)
        if experiment is not None and experiment["picker"] is None and experiment["trained"] is None:
            sizes[f"experiments/{name}"] = network_size(experiment["network"], settings)
    return sizes


def network_size(network: Mapping[str, Any] | str, settings: Mapping[str, Any]) -> float:
    """Width of a particle for an experiment's network, in px: as its section, its entry or its file says."""
    if not isinstance(network, str):
        return network["pixels_per_diameter"]
    if network in settings["networks"]:
        first = settings["datasets"][settings["networks"][network]["datasets"][0]]
        given = first["preparation"]["working_pixel_size"]
        own = settings["networks"][network]["network"]["pixels_per_diameter"]
        return own if given is None else angstrom_to_px(first["particle_diameter_angstrom"], given)
    return read_facts(network).input.diameter_px


def check_references(settings: Mapping[str, Any]) -> None:
    """Refuse a network of datasets that are not defined, and an experiment whose network is neither entry nor file."""
    for name, entry in settings["networks"].items():
        for dataset in entry["datasets"]:
            if dataset not in settings["datasets"]:
                raise UserError(
                    f"config, networks/{name}/datasets: {dataset} names no entry of datasets; "
                    f"defined are {', '.join(settings['datasets'])}"
                )
    for name, experiment in settings["experiments"].items():
        network, place = experiment["network"], f"config, experiments/{name}/network"
        if not isinstance(network, str) or network in settings["networks"]:
            continue
        if not network.endswith(".pt"):
            known = ", ".join(settings["networks"]) or "none"
            raise UserError(f"{place}: {network} is no entry of networks and no .pt file; defined are {known}")
        if not Path(network).is_file():
            raise UserError(f"{place}: {network} does not exist; correct the path, or name an entry of networks")


def check_network(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse a network whose datasets do not look alike to it, cannot be trained on, or lack its classes."""
    entry, place = settings["networks"][name], f"config, networks/{name}"
    inputs = {dataset: dataset_input(settings["datasets"][dataset]) for dataset in entry["datasets"]}
    first = entry["datasets"][0]
    for dataset, given in inputs.items():
        diameter = settings["datasets"][dataset]["particle_diameter_angstrom"]
        if difference := input_difference(inputs[first], given, diameter_angstrom=diameter):
            raise UserError(
                f"{place}/datasets: {dataset} does not look like {first}: {difference} in datasets/{dataset}"
            )
        check_trains(f"{place}/datasets", dataset, settings)
        check_n_micrographs(place, dataset, entry["training"]["n_micrographs"], settings)
    shown = {name for dataset in entry["datasets"] for name in label_classes(settings["datasets"][dataset])}
    if missing := [name for name in entry["network"]["classes"] if name not in shown]:
        raise UserError(
            f"{place}/network/classes: no dataset has labels of {' and '.join(missing)}; leave that out, or add a "
            "simulation whose scenery has it"
        )


def check_trains(place: str, dataset: str, settings: Mapping[str, Any]) -> None:
    """Refuse to train on a dataset without coordinates, or without training or validation micrographs."""
    entry = settings["datasets"][dataset]
    if not has_truth(entry):
        raise UserError(f"{place}: {dataset} has no coordinates to train on; give datasets/{dataset}/coordinates")
    for part in ("train", "validation"):
        if is_empty(entry["split"], part):
            raise UserError(f"{place}: datasets/{dataset}/split/{part} is empty; put a micrograph into it")
    check_sizes(dataset, settings)


def dataset_input(dataset: Mapping[str, Any]) -> NetworkInput:
    """How a dataset looks to a network."""
    return network_input(dataset["preparation"], dataset["particle_diameter_angstrom"])


def has_truth(dataset: Mapping[str, Any]) -> bool:
    """Whether particles of a dataset are known: it is a simulation, or has coordinates."""
    return not {"simulation", "coordinates"}.isdisjoint(dataset)


def searches_centers(dataset: Mapping[str, Any], experiment: Mapping[str, Any]) -> bool:
    """Whether finder and threshold are chosen on the validation part of the dataset that the experiment runs on."""
    if experiment["picker"] is not None or experiment["trained"] is not None:
        return False
    return not isinstance(experiment["network"], str) or (
        has_truth(dataset) and not is_empty(dataset["split"], "validation")
    )


def check_dataset(name: str, dataset: Mapping[str, Any]) -> None:
    """Refuse combinations of a dataset's settings that no schema can see."""
    place = f"config, datasets/{name}"
    if ("micrographs" in dataset) == ("simulation" in dataset):
        raise UserError(f"{place}: give either micrographs (files) or simulation, not both and not neither")
    if "simulation" in dataset and "coordinates" in dataset:
        raise UserError(f"{place}: a simulation brings its own coordinates; remove coordinates")
    working, pixel_size = dataset["preparation"]["working_pixel_size"], dataset["pixel_size"]
    if working < pixel_size:
        raise UserError(
            f"{place}/preparation/working_pixel_size: {working} Å/px is finer than the micrographs' {pixel_size} Å/px; "
            f"give {pixel_size} or more"
        )
    diameter = dataset["particle_diameter_angstrom"]
    if angstrom_to_px(diameter, working) < 4:
        raise UserError(
            f"{place}: a particle of {diameter} Å is less than 4 pixels wide at working_pixel_size {working}; "
            f"give at most {diameter / 8:.3g} Å/px"
        )
    check_labels(place, dataset)
    coordinates = dataset.get("coordinates", {})
    if coordinates.get("subtract_origins") and coordinates["format"] not in ("auto", "relion", "relion-particles"):
        raise UserError(
            f"{place}/coordinates/subtract_origins: {coordinates['format']} files have no origins; "
            "give star files of refined particles, or leave it out"
        )
    parts = dataset["split"]
    kinds = {isinstance(parts[part], list) for part in parts if parts[part] != "rest"}
    if len(kinds) > 1:
        raise UserError(f"{place}/split: some parts are counts and some are lists; give all as counts or all as lists")
    check_bounds(f"{place}/simulation", dataset.get("simulation"))


def check_bounds(place: str, section: Any) -> None:
    """Refuse a least that is more than its most, anywhere in a simulation's settings."""
    for key, value in section.items() if isinstance(section, dict) else ():
        if key in ("shape_px", "defocus_angstrom"):
            continue
        if isinstance(value, list) and len(value) == 2 and value[0] > value[1]:
            raise UserError(f"{place}/{key}: the least, {value[0]}, is more than the most, {value[1]}; swap them")
        check_bounds(f"{place}/{key}", value)


def check_labels(place: str, dataset: Mapping[str, Any]) -> None:
    """Refuse a source of labels for which the dataset has not what it takes."""
    labels, source = dataset["labels"], dataset["labels"]["source"]
    if labels["instances"] and label_source(dataset) == "truth":
        raise UserError(f"{place}/labels/instances: truth has no instances; set source to poses, or leave it out")
    if "simulation" in dataset or source is None:
        return
    entry, place = place.removeprefix("config, "), f"{place}/labels"
    if source == "truth":
        raise UserError(
            f"{place}/source: truth is known of simulations alone; give disc, poses, relion, aspire or matching"
        )
    if "coordinates" not in dataset:
        raise UserError(f"{place}/source: {source} labels need coordinates; give {entry}/coordinates")
    if source == "poses" and labels["poses"] is None:
        raise UserError(f"{place}/poses: source poses needs orientations; give the star or .cs file of a refinement")
    if source == "poses" and labels["map"] is None and labels["mask"] is None:
        raise UserError(f"{place}/map: source poses needs a density; give the refined map, a mask, or both")
    if source == "matching" and labels["map"] is None:
        raise UserError(f"{place}/map: matching compares particles with a map; give one, or set source to relion")


def label_source(dataset: Mapping[str, Any]) -> str:
    """Where a dataset's labels come from, as its entry says or by default."""
    return dataset["labels"]["source"] or ("truth" if "simulation" in dataset else "disc")


def check_recipe(place: str, entry: Mapping[str, Any]) -> None:
    """Refuse combinations of the sections that networks and experiments share which no schema can see."""
    check_losses(place, entry["training"])
    prediction = entry["prediction"]
    if 2 * prediction["overlap_px"] > prediction["tile_px"]:
        raise UserError(
            f"{place}/prediction: overlap_px {prediction['overlap_px']} is more than half of tile_px "
            f"{prediction['tile_px']}; make it smaller"
        )
    crf = entry["crf"]
    if isinstance(entry["network"], str) or crf["operator"] != "grid":
        return
    if crf["type"] == "learned" or (crf["type"] == "logits" and len(entry["network"]["classes"]) > 2):
        raise UserError(f"{place}/crf/operator: grid takes one feature only; give pooled, or leave it out")


def check_experiment(name: str, experiment: Mapping[str, Any]) -> None:
    """Refuse combinations of an experiment's settings that no schema can see."""
    place, resolution = f"config, experiments/{name}", experiment["resolution"]
    check_finder(place, experiment["centers"])
    if resolution["program"] == "aspire" and resolution["symmetry"][0].upper() not in "CD":
        raise UserError(
            f"{place}/resolution/symmetry: aspire reconstructs with Cn and Dn, not {resolution['symmetry']}; "
            "give one of its subgroups, or set program to relion"
        )


def check_trained(given: Any, experiments: Any) -> None:
    """Refuse what has no effect beside a trained network: `given` without, `experiments` with what they inherit."""
    for name, experiment in experiments.items() if isinstance(experiments, dict) else ():
        if isinstance(experiment, dict) and experiment.get("trained"):
            useless = sorted({"network", "training", "crf"} & given[name].keys())
            if useless:
                raise UserError(
                    f"config, experiments/{name}: trained brings its own network, so {' and '.join(useless)} would "
                    "have no effect; remove that, or remove trained"
                )


def check_named_networks(given: Any, experiments: Any) -> None:
    """Refuse what has no effect beside a named network: `given` without, `experiments` with what they inherit."""
    for name, experiment in experiments.items() if isinstance(experiments, dict) else ():
        if isinstance(experiment, dict) and isinstance(experiment.get("network"), str):
            useless = sorted({"training", "crf", "seed"} & given[name].keys())
            if useless:
                raise UserError(
                    f"config, experiments/{name}: network {experiment['network']} is trained elsewhere, so "
                    f"{' and '.join(useless)} would have no effect; move that to its entry of networks"
                )


def check_pickers(given: Any, experiments: Any) -> None:
    """Refuse what has no effect beside another picker: `given` without, `experiments` with what they inherit."""
    for name, experiment in experiments.items() if isinstance(experiments, dict) else ():
        picker = experiment.get("picker") if isinstance(experiment, dict) else None
        # the schema refuses what is no mapping
        if picker and isinstance(picker, dict):
            sections = {"trained", "network", "training", "crf", "prediction", "centers"}
            useless = sorted(sections & given[name].keys())
            if useless:
                raise UserError(
                    f"config, experiments/{name}: picker takes the network's place, so {' and '.join(useless)} would "
                    "have no effect; remove that, or remove picker"
                )
            least, most = (picker.get(f"diameter_{key}_angstrom") for key in ("min", "max"))
            if isinstance(least, int | float) and isinstance(most, int | float) and least > most:
                raise UserError(
                    f"config, experiments/{name}/picker: diameter_min_angstrom {least} is more than "
                    f"diameter_max_angstrom {most}; exchange them"
                )


def picker_name(experiment: Mapping[str, Any]) -> str | None:
    """What picks in an experiment: files, the name of a program, or None for a network."""
    picker = experiment["picker"]
    return None if picker is None else picker.get("program", "files")


def check_run(run: str, settings: Mapping[str, Any]) -> None:
    """Refuse a run whose dataset or experiment is not defined, or that has nothing to train on."""
    dataset, experiment = run.split("/")
    for section, name in (("datasets", dataset), ("experiments", experiment)):
        if name not in settings[section]:
            raise UserError(
                f"config, run: {run} names no entry of {section}; defined are {', '.join(settings[section])}"
            )
    particle_boxes(settings["datasets"][dataset], settings["experiments"][experiment])
    check_split(run, settings)
    check_classes(run, settings)
    known = has_truth(settings["datasets"][dataset])
    if settings["experiments"][experiment]["picker"] is not None:
        if not known and parts_needed(settings["experiments"][experiment]):
            raise UserError(
                f"config, run: {run} has no coordinates to train or choose a threshold on; give "
                f"datasets/{dataset}/coordinates, or for all but topaz experiments/{experiment}/picker/threshold"
            )
    elif isinstance(settings["experiments"][experiment]["network"], str):
        check_named_run(run, settings)
    elif not known and settings["experiments"][experiment]["trained"] is None:
        raise UserError(
            f"config, run: {run} has no coordinates to train on; give datasets/{dataset}/coordinates, or "
            f"experiments/{experiment}/trained, the folder of an experiment that is trained already"
        )


def check_named_run(run: str, settings: Mapping[str, Any]) -> None:
    """Refuse a named network for a dataset that looks different to it, and a run without any threshold."""
    dataset, experiment = run.split("/")
    entry, recipe = settings["datasets"][dataset], settings["experiments"][experiment]
    trained, diameter = named_input(recipe["network"], settings), entry["particle_diameter_angstrom"]
    if difference := input_difference(trained, dataset_input(entry), diameter_angstrom=diameter):
        raise UserError(f"config, run: {run}: {difference} in datasets/{dataset}")
    if not searches_centers(entry, recipe) and recipe["centers"]["threshold"] is None:
        raise UserError(
            f"config, run: {run} has no validation micrographs with coordinates to choose a threshold on; give "
            f"experiments/{experiment}/centers/threshold, such as 0.5, or datasets/{dataset}/coordinates"
        )


def named_input(network: str, settings: Mapping[str, Any]) -> NetworkInput:
    """How micrographs look to a network that is an entry of networks or a file."""
    if network not in settings["networks"]:
        return read_facts(network).input
    return dataset_input(settings["datasets"][settings["networks"][network]["datasets"][0]])


def check_classes(run: str, settings: Mapping[str, Any]) -> None:
    """Refuse to train an experiment's own network on labels that never show it one of its classes."""
    dataset, name = run.split("/")
    experiment = settings["experiments"][name]
    if experiment["trained"] is None and experiment["picker"] is None and not isinstance(experiment["network"], str):
        known = label_classes(settings["datasets"][dataset])
        missing = [label for label in experiment["network"]["classes"] if label not in known]
        if not missing:
            return
        what = " and no ".join(missing)
        raise UserError(
            f"config, experiments/{name}/network/classes: the labels of {dataset} have no {what} to learn from; leave "
            "that out, or train on a simulation whose scenery has it and whose labels are truth"
        )


def label_classes(dataset: Mapping[str, Any]) -> list[str]:
    """Classes that a dataset's labels can have: a simulation's truth alone has more than two."""
    scenery = dataset.get("simulation", {}).get("scenery")
    classes = ["background", "particle"]
    if scenery is None or label_source(dataset) != "truth":
        return classes
    if max(scenery[kind]["n_per_micrograph"][1] for kind in ("ice", "ethane", "aggregates")):
        classes.append("contaminant")
    return classes + (["carbon"] if scenery["carbon"]["probability"] > 0 else [])


def parts_needed(experiment: Mapping[str, Any]) -> list[str]:
    """Parts of the split without which an experiment cannot be: to train on, and to choose a threshold on."""
    picker = experiment["picker"]
    if picker is None:
        given = experiment["trained"] is not None or isinstance(experiment["network"], str)
        return [] if given else ["train", "validation"]
    needed = {"train": picker_name(experiment) == "topaz", "validation": picker["threshold"] is None}
    return [part for part, yes in needed.items() if yes]


def run_folder(trained: str) -> str:
    """Folder that `trained` names, as seen from here, so that an absolute path into this run is of this run."""
    return Path(os.path.relpath(trained)).as_posix()


def is_empty(split: Mapping[str, Any], part: str) -> bool:
    """Whether a dataset's split leaves no micrograph for a part; `all` is every part."""
    return split.get(part) in (0, [])


def check_sizes(dataset: str, settings: Mapping[str, Any]) -> dict[str, int]:
    """Number of micrographs of every part that a dataset's split counts or lists.

    Raises
    ------
    UserError
        If a simulation does not make so many.
    """
    entry = settings["datasets"][dataset]
    parts = entry["split"].items()
    sizes = {part: len(value) if isinstance(value, list) else value for part, value in parts if value != "rest"}
    n = entry.get("simulation", {}).get("n_micrographs")
    if n is not None and sum(sizes.values()) > n:
        raise UserError(
            f"config, datasets/{dataset}/split: asks for {sum(sizes.values())} micrographs, the simulation makes {n}; "
            "lower them"
        )
    return sizes


def check_split(run: str, settings: Mapping[str, Any]) -> None:
    """Refuse parts that cannot be filled, and a training without micrographs."""
    dataset, experiment = run.split("/")
    sizes, place = check_sizes(dataset, settings), f"config, datasets/{dataset}/split"
    for part in parts_needed(settings["experiments"][experiment]):
        if sizes[part] == 0:
            picker = settings["experiments"][experiment]["picker"]
            what = "a training" if picker is None or part == "train" else f"the threshold of {experiment}"
            raise UserError(f"{place}/{part}: {what} needs at least one micrograph here")
    if "train" not in parts_needed(settings["experiments"][experiment]):
        return
    wanted = settings["experiments"][experiment]["training"]["n_micrographs"]
    check_n_micrographs(f"config, experiments/{experiment}", dataset, wanted, settings)


def check_n_micrographs(place: str, dataset: str, wanted: int | None, settings: Mapping[str, Any]) -> None:
    """Refuse to train on more micrographs of a dataset than its training part has."""
    available = check_sizes(dataset, settings)["train"]
    if wanted is not None and wanted > available:
        raise UserError(
            f"{place}/training/n_micrographs: {wanted} of {available} training micrographs; lower it, or enlarge "
            f"datasets/{dataset}/split/train"
        )


def check_table(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse a table with a row that is not defined."""
    for row in settings["tables"][name]["rows"]:
        *dataset, experiment = row.split("/")
        for section, entry in [("experiments", experiment), *(("datasets", entry) for entry in dataset)]:
            if entry not in settings[section]:
                raise UserError(
                    f"config, tables/{name}/rows: {row} names no entry of {section}; "
                    f"defined are {', '.join(settings[section])}"
                )
        if settings["experiments"][experiment]["picker"] is not None:
            raise UserError(
                f"config, tables/{name}/rows: {row} has a picker and no network; list it in comparisons/…/entries"
            )
        if dataset:
            check_run(row, settings)
            if is_empty(settings["datasets"][dataset[0]]["split"], "test"):
                raise UserError(
                    f"config, tables/{name}/rows: {row} is compared on the test part, which is empty; "
                    f"put a micrograph into datasets/{dataset[0]}/split/test"
                )
            if not has_truth(settings["datasets"][dataset[0]]):
                raise UserError(f"config, tables/{name}/rows: {row} has no coordinates to be compared with; give some")


def check_comparison(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse a comparison of what is not defined, without truth, or with a consensus that nothing can reach."""
    comparison, place = settings["comparisons"][name], f"config, comparisons/{name}"
    dataset = comparison["dataset"]
    for section, entry in [("datasets", dataset), *(("experiments", entry) for entry in comparison["entries"])]:
        if entry not in settings[section]:
            raise UserError(f"{place}: {entry} names no entry of {section}; defined are {', '.join(settings[section])}")
    if not has_truth(settings["datasets"][dataset]):
        raise UserError(f"{place}/dataset: {dataset} has no coordinates to compare with; give some, or another dataset")
    if is_empty(settings["datasets"][dataset]["split"], comparison["part"]):
        raise UserError(
            f"{place}/part: datasets/{dataset}/split leaves no micrograph for {comparison['part']}; name another part"
        )
    if comparison["consensus_at_least"] > len(comparison["entries"]):
        raise UserError(
            f"{place}/consensus_at_least: {comparison['consensus_at_least']} of {len(comparison['entries'])} entries "
            "can never agree; lower it"
        )
    if "consensus" in comparison["entries"]:
        raise UserError(f"{place}/entries: consensus is the row of what entries agree on; rename that experiment")
    for entry in comparison["entries"]:
        check_run(f"{dataset}/{entry}", settings)


def particle_boxes(dataset: Mapping[str, Any], experiment: Mapping[str, Any]) -> Boxes:
    """Boxes of an experiment's particles on a dataset: see `particles.box_sizes`."""
    others = ("invert_contrast", "float16")
    sizes = {key: value for key, value in experiment["particles"].items() if key not in others}
    return choose_boxes(dataset["pixel_size"], dataset["particle_diameter_angstrom"], **sizes)
