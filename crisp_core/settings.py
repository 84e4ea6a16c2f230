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
from crisp_core.particles import Boxes, box_sizes
from crisp_core.paths import with_home

# A particle's width on the images that the network sees: docs/performance.md, working resolution.
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
    for section in ("datasets", "experiments"):
        if isinstance(settings.get(section), dict):
            settings[section] = {name: extended(settings[section], name, section) for name in settings[section]}
    check_trained(given, settings.get("experiments"))
    check_pickers(given, settings.get("experiments"))
    error = jsonschema.exceptions.best_match(FillingValidator(schema).iter_errors(settings))
    if error is not None:
        place = "/".join(str(key) for key in error.absolute_path) or "top level"
        raise UserError(f"config, {place}: {_explain(error)}")
    for name, dataset in settings["datasets"].items():
        fill_working_pixel_size(dataset)
        check_dataset(name, dataset)
    for name, experiment in settings["experiments"].items():
        check_experiment(name, experiment)
    for run in settings["run"]:
        check_run(run, settings)
    for name in settings["tables"]:
        check_table(name, settings)
    for name in settings["comparisons"]:
        check_comparison(name, settings)
    own_names = set(settings["experiments"])
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
    own = settings["experiments"][experiment]["seed"]
    return experiment if seed == (settings["seed"] if own is None else own) else f"{experiment}-seed{seed}"


def add_seeded(settings: dict[str, Any], name: str, seed: int, own_names: Collection[str]) -> None:
    """Add a copy of an experiment, and of those that it extends, with another seed; in place.

    Raises
    ------
    UserError
        If one of the config's own experiments has the name of the copy.
    """
    new = seeded_name(name, seed, settings)
    if new != name and new in own_names:
        raise UserError(f"config, experiments/{new}: a table needs this name for {name} with seed {seed}; rename it")
    if new in settings["experiments"]:
        return
    entry = copy.deepcopy(settings["experiments"][name]) | {"seed": seed}
    settings["experiments"][new] = entry
    if entry["extend"] is not None:
        add_seeded(settings, entry["extend"], seed, own_names)
        entry["extend"] = seeded_name(entry["extend"], seed, settings)


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


def fill_working_pixel_size(dataset: dict[str, Any]) -> None:
    """Let the network see a particle 25 px wide where nothing is said, and never more than the micrographs show."""
    if dataset["preparation"]["working_pixel_size"] is None:
        wanted = round(dataset["particle_diameter_angstrom"] / PIXELS_PER_DIAMETER, 2)
        dataset["preparation"]["working_pixel_size"] = max(wanted, dataset["pixel_size"])


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


def check_experiment(name: str, experiment: Mapping[str, Any]) -> None:
    """Refuse combinations of an experiment's settings that no schema can see."""
    place = f"config, experiments/{name}"
    prediction = experiment["prediction"]
    if 2 * prediction["overlap_px"] > prediction["tile_px"]:
        raise UserError(
            f"{place}/prediction: overlap_px {prediction['overlap_px']} is more than half of tile_px "
            f"{prediction['tile_px']}; make it smaller"
        )
    resolution = experiment["resolution"]
    if resolution["program"] == "aspire" and resolution["symmetry"][0].upper() not in "CD":
        raise UserError(
            f"{place}/resolution/symmetry: aspire reconstructs with Cn and Dn, not {resolution['symmetry']}; "
            "give one of its subgroups, or set program to relion"
        )
    crf = experiment["crf"]
    several = crf["type"] == "learned" or (crf["type"] == "logits" and experiment["network"]["classes"] > 2)
    if crf["operator"] == "grid" and several:
        raise UserError(f"{place}/crf/operator: grid takes one feature only; give pooled, or leave it out")


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
            if all(isinstance(value, int | float) for value in (least, most)) and least > most:
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
    check_circle(run, settings)
    check_split(run, settings)
    check_classes(run, settings)
    has_truth = not {"simulation", "coordinates"}.isdisjoint(settings["datasets"][dataset])
    if settings["experiments"][experiment]["picker"] is not None:
        if not has_truth and parts_needed(settings["experiments"][experiment]):
            raise UserError(
                f"config, run: {run} has no coordinates to train or choose a threshold on; give "
                f"datasets/{dataset}/coordinates, or for all but topaz experiments/{experiment}/picker/threshold"
            )
    elif not has_truth and settings["experiments"][experiment]["trained"] is None:
        raise UserError(
            f"config, run: {run} has no coordinates to train on; give datasets/{dataset}/coordinates, or "
            f"experiments/{experiment}/trained, the folder of an experiment that is trained already"
        )


def check_classes(run: str, settings: Mapping[str, Any]) -> None:
    """Refuse to train a network of four classes on labels that never show it a contaminant or carbon."""
    dataset, name = run.split("/")
    entry, experiment = settings["datasets"][dataset], settings["experiments"][name]
    trains = experiment["trained"] is None and experiment["picker"] is None
    if trains and experiment["network"]["classes"] > 2 and not has_scenery_classes(entry):
        raise UserError(
            f"config, experiments/{name}/network/classes: the labels of {dataset} have no contaminant and no carbon to "
            "learn from; set classes to 2, or train on a simulation whose scenery has them and whose labels are truth"
        )


def has_scenery_classes(dataset: Mapping[str, Any]) -> bool:
    """Whether a dataset's labels can have the classes contaminant and carbon: a simulation's truth alone has them."""
    scenery = dataset.get("simulation", {}).get("scenery")
    if scenery is None or label_source(dataset) != "truth":
        return False
    counts = [scenery[kind]["n_per_micrograph"][1] for kind in ("ice", "ethane", "aggregates")]
    return scenery["carbon"]["probability"] > 0 or max(counts) > 0


def parts_needed(experiment: Mapping[str, Any]) -> list[str]:
    """Parts of the split without which an experiment cannot be: to train on, and to choose a threshold on."""
    picker = experiment["picker"]
    if picker is None:
        return [] if experiment["trained"] is not None else ["train", "validation"]
    needed = {"train": picker_name(experiment) == "topaz", "validation": picker["threshold"] is None}
    return [part for part, yes in needed.items() if yes]


def run_folder(trained: str) -> str:
    """Folder that `trained` names, as seen from here, so that an absolute path into this run is of this run."""
    return Path(os.path.relpath(trained)).as_posix()


def is_empty(split: Mapping[str, Any], part: str) -> bool:
    """Whether a dataset's split leaves no micrograph for a part; `all` is every part."""
    return split.get(part) in (0, [])


def check_circle(run: str, settings: Mapping[str, Any]) -> None:
    """Refuse a run whose trained network is, through others, its own."""
    seen, trained = [run], settings["experiments"][run.split("/")[1]]["trained"]
    while trained is not None:
        # only what is in this very folder; another folder's results may have the same names
        owner = next((known for known in settings["run"] if f"results/{known}" == run_folder(trained)), None)
        if owner is None:
            return
        experiment = owner.split("/")[1]
        if settings["experiments"][experiment]["picker"] is not None:
            raise UserError(
                f"config, experiments/{run.split('/')[1]}/trained: {trained} is another picker's and has no network; "
                "name the folder of an experiment with a network"
            )
        if owner in seen:
            raise UserError(
                f"config, experiments/{experiment}/trained: {trained} is, in the end, itself; "
                "leave trained out of the one that is to train"
            )
        seen.append(owner)
        trained = settings["experiments"][experiment]["trained"]


def check_split(run: str, settings: Mapping[str, Any]) -> None:
    """Refuse parts that cannot be filled, and a training without micrographs."""
    dataset, experiment = run.split("/")
    parts, entry = settings["datasets"][dataset]["split"], settings["datasets"][dataset]
    sizes = {part: len(value) if isinstance(value, list) else value for part, value in parts.items() if value != "rest"}
    place = f"config, datasets/{dataset}/split"
    n = entry.get("simulation", {}).get("n_micrographs")
    if n is not None and sum(sizes.values()) > n:
        raise UserError(f"{place}: asks for {sum(sizes.values())} micrographs, the simulation makes {n}; lower them")
    for part in parts_needed(settings["experiments"][experiment]):
        if sizes[part] == 0:
            picker = settings["experiments"][experiment]["picker"]
            what = "a training" if picker is None or part == "train" else f"the threshold of {experiment}"
            raise UserError(f"{place}/{part}: {what} needs at least one micrograph here")
    if "train" not in parts_needed(settings["experiments"][experiment]):
        return
    wanted = settings["experiments"][experiment]["training"]["n_micrographs"]
    if wanted is not None and wanted > sizes["train"]:
        raise UserError(
            f"config, experiments/{experiment}/training/n_micrographs: {wanted} of {sizes['train']} training "
            f"micrographs; lower it, or enlarge datasets/{dataset}/split/train"
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
            if {"simulation", "coordinates"}.isdisjoint(settings["datasets"][dataset[0]]):
                raise UserError(f"config, tables/{name}/rows: {row} has no coordinates to be compared with; give some")


def check_comparison(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse a comparison of what is not defined, without truth, or with a consensus that nothing can reach."""
    comparison, place = settings["comparisons"][name], f"config, comparisons/{name}"
    dataset = comparison["dataset"]
    for section, entry in [("datasets", dataset), *(("experiments", entry) for entry in comparison["entries"])]:
        if entry not in settings[section]:
            raise UserError(f"{place}: {entry} names no entry of {section}; defined are {', '.join(settings[section])}")
    if {"simulation", "coordinates"}.isdisjoint(settings["datasets"][dataset]):
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
    return box_sizes(dataset["pixel_size"], dataset["particle_diameter_angstrom"], **sizes)
