"""Checks of a dataset beyond the types of its keys."""

from glob import has_magic

from crisp_core.errors import UserError
from crisp_core.geometry import angstrom_to_px
from crisp_core.preparation.enlargement import MOST_ENLARGED, too_coarse
from crisp_core.settings.config import Config, DatasetSettings
from crisp_core.settings.questions import is_zoo, label_source


def check_dataset(name: str, dataset: DatasetSettings) -> None:
    """Refuse combinations of a dataset's settings that cannot work."""
    place = f"config, datasets/{name}"
    if (dataset.micrographs is None) == (dataset.simulation is None):
        raise UserError(f"{place}: exactly one source is allowed; give either micrographs (files) or simulation")
    check_made_micrographs(place, dataset)
    if dataset.simulation is not None and dataset.coordinates is not None:
        raise UserError(f"{place}: a simulation has its own coordinates; remove coordinates")
    if dataset.corrections is not None:
        check_corrections(place, dataset)
    working, pixel_size = dataset.preparation.working_pixel_size or dataset.pixel_size, dataset.pixel_size
    if too_coarse(pixel_size, working):
        raise UserError(
            f"{place}/preparation/working_pixel_size: {working:g} Å/px enlarges micrographs of {pixel_size:g} Å/px "
            f"more than {MOST_ENLARGED:g} times; give {pixel_size / MOST_ENLARGED:.3g} or more"
        )
    diameter = dataset.particle_diameter_angstrom
    if angstrom_to_px(diameter, working) < 4:
        raise UserError(
            f"{place}: a particle of {diameter:g} Å is less than 4 pixels wide at working_pixel_size {working:g}; "
            f"give at most {diameter / 8:.3g} Å/px"
        )
    check_volume(place, dataset)
    check_labels(place, dataset)
    coordinates = dataset.coordinates
    if (
        coordinates
        and coordinates.subtract_origins
        and coordinates.format not in ("auto", "relion", "relion-particles")
    ):
        raise UserError(
            f"{place}/coordinates/subtract_origins: {coordinates.format} files have no origins; "
            "give star files of refined particles, or leave it out"
        )
    kinds = {isinstance(part, list) for _, part in dataset.split if part != "rest"}
    if len(kinds) > 1:
        raise UserError(f"{place}/split: some parts are counts and some are lists; give all as counts or all as lists")


def check_made_micrographs(place: str, dataset: DatasetSettings) -> None:
    """Refuse micrographs that rules are to make, but that the config does not list by their paths."""
    if not dataset.micrographs_from_rules:
        return
    place, given = f"{place}/micrographs_from_rules", dataset.micrographs
    if given is None:
        raise UserError(f"{place}: a simulation takes no micrographs; leave it out")
    pattern = next((path for path in ([given] if isinstance(given, str) else given) if has_magic(path)), None)
    if pattern is not None:
        raise UserError(f"{place}: the pattern {pattern} matches no file that a rule has yet to make; list the paths")


def check_corrections(place: str, dataset: DatasetSettings) -> None:
    """Refuse corrections beside another source of particles or labels, and a split by numbers."""
    if dataset.simulation is not None or dataset.coordinates is not None:
        source = "simulation" if dataset.coordinates is None else "coordinates"
        raise UserError(
            f"{place}/corrections: {source} gives the particles of this dataset; give the corrections to a dataset of "
            f"the same micrographs without {source}, and list both in datasets of an entry of networks"
        )
    if dataset.labels.source not in (None, "disc"):
        raise UserError(f"{place}/labels/source: corrections are labelled by discs; leave it out")
    counts = {key for key in dataset.split.model_fields_set if not isinstance(getattr(dataset.split, key), list | str)}
    if counts:
        raise UserError(
            f"{place}/split: numbers have no meaning for corrected micrographs; list names, or leave it out "
            "(docs/corrections.md)"
        )


def check_volume(place: str, dataset: DatasetSettings) -> None:
    """Refuse several volumes without zoo, a zoo without volume, and a zoo's labels from another source."""
    simulation = dataset.simulation
    volume = None if simulation is None else simulation.volume
    if simulation is not None and is_zoo(dataset):
        if volume is None:
            raise UserError(f"{place}/simulation/volume: a zoo needs volumes; give paths, globs or a list of them")
        if simulation.volume_pixel_size is not None:
            raise UserError(
                f"{place}/simulation/volume_pixel_size: a zoo takes the pixel size of each map from its header; "
                "leave it out, and correct the header"
            )
        if label_source(dataset) != "truth":
            raise UserError(f"{place}/labels/source: a zoo has labels of its own; leave it out")
    elif isinstance(volume, list) or (volume is not None and has_magic(volume)):
        raise UserError(
            f"{place}/simulation/volume: several volumes need simulation/zoo; give zoo: {{}}, or one volume"
        )


def check_labels(place: str, dataset: DatasetSettings) -> None:
    """Refuse a source of labels for which the dataset lacks the files."""
    labels, source = dataset.labels, dataset.labels.source
    if labels.instances and label_source(dataset) == "truth":
        raise UserError(f"{place}/labels/instances: truth has no instances; set source to poses, or leave it out")
    if dataset.simulation is not None or source is None:
        return
    entry, place = place.removeprefix("config, "), f"{place}/labels"
    if source == "truth":
        raise UserError(
            f"{place}/source: only a simulation has source truth; give disc, clicks, poses, relion, aspire or matching"
        )
    if dataset.coordinates is None and dataset.corrections is None:
        raise UserError(f"{place}/source: {source} labels need coordinates; give {entry}/coordinates")
    if source == "poses" and labels.poses is None:
        raise UserError(f"{place}/poses: source poses needs orientations; give the star or .cs file of a refinement")
    if source == "poses" and labels.map is None and labels.mask is None:
        raise UserError(f"{place}/map: source poses needs a density; give the refined map, a mask, or both")
    if source == "matching" and labels.map is None:
        raise UserError(f"{place}/map: matching compares particles with a map; give one, or set source to relion")


def check_sizes(dataset: str, settings: Config) -> dict[str, int]:
    """Number of micrographs of every part that a dataset's split counts or lists.

    Raises
    ------
    UserError
        If a simulation does not make so many.
    """
    entry = settings.datasets[dataset]
    sizes = {part: len(value) if isinstance(value, list) else value for part, value in entry.split if value != "rest"}
    n = None if entry.simulation is None else entry.simulation.n_micrographs
    if n is not None and sum(sizes.values()) > n:
        raise UserError(
            f"config, datasets/{dataset}/split: asks for {sum(sizes.values())} micrographs, the simulation makes {n}; "
            "lower them"
        )
    return sizes


def check_n_micrographs(place: str, dataset: str, wanted: int | None, settings: Config) -> None:
    """Refuse to train on more micrographs of a dataset than its training part has.

    Parameters
    ----------
    place : str
        Key of the config that the error message names.
    dataset : str
        Name of the dataset in the config.
    wanted : int or None
        Number of training micrographs wanted; None for all of them.
    settings : Config
        Settings of the whole configuration.
    """
    if settings.datasets[dataset].corrections is not None:
        # their number is in the files
        return
    available = check_sizes(dataset, settings)["train"]
    if wanted is not None and wanted > available:
        raise UserError(
            f"{place}/training/n_micrographs: {wanted} is more than the {available} training micrographs; lower it, or "
            f"raise datasets/{dataset}/split/train"
        )
