# What rules take from a dataset's entry: simulation, coordinates, CTF, labels
import os
from functools import cache

from crisp_core.errors import UserError
from crisp_core.volumes import volume_source


def volume_path(dataset):
    """Map or model of a simulation; None for the phantom and for an entry of a data bank."""
    volume = config["datasets"][dataset].get("simulation", {}).get("volume")
    if volume is None:
        return None
    kind, name = volume_source(volume)
    return name if kind in ("map", "model") else None


def microscope(dataset):
    """What a dataset's entry says of its microscope."""
    keys = ("voltage_kv", "spherical_aberration_mm", "amplitude_contrast")
    return {key: config["datasets"][dataset][key] for key in keys}


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


def dataset_optics(wildcards):
    """What a dataset's entry says of its microscope and particle."""
    keys = ("pixel_size", "particle_diameter_angstrom")
    sizes = {key: config["datasets"][wildcards.dataset][key] for key in keys}
    return sizes | microscope(wildcards.dataset)


def coordinate_settings(wildcards):
    """How a dataset's coordinates are to be read; a simulation writes RELION's."""
    if wildcards.dataset in SIMULATED:
        return {"format": "relion-particles", "origin": "top-left"}
    settings = config["datasets"][wildcards.dataset]["coordinates"]
    pixel_size = config["datasets"][wildcards.dataset]["pixel_size"]
    return {
        "format": settings["format"],
        "origin": settings["origin"],
        "scale": settings["scale"],
        "least_score": settings["least_score"],
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


def followed_lists(files):
    """Coordinate files that RELION's lists among the files name, so that a change of one is seen."""
    from crisp_core.coordinates import is_coordinate_list, listed_files

    found = []
    for path in filter(is_coordinate_list, files):
        try:
            found += [file for file in listed_files(path) if os.access(file, os.R_OK)]
        except UserError:
            pass  # the import says why
    return found


def listed_coordinates(wildcards):
    """Coordinate files that the lists among `coordinate_files` name."""
    return followed_lists(coordinate_files(wildcards))


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


def drawn_parts(wildcards):
    """Parts of the split that are drawn; where it lists micrographs, another test part draws nothing again."""
    parts = config["datasets"][wildcards.dataset]["split"]
    return parts | {"test": []} if isinstance(parts["train"], list) else parts


def particle_diameter_px(wildcards):
    """Diameter of a dataset's particle in pixels of its micrographs."""
    optics = dataset_optics(wildcards)
    return optics["particle_diameter_angstrom"] / optics["pixel_size"]
