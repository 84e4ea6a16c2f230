"""Size at which networks see a particle, and the working pixel size of a dataset."""

from collections.abc import Iterator

from crisp_core.errors import UserError
from crisp_core.geometry import angstrom_to_px
from crisp_core.preparation.enlargement import MOST_ENLARGED, seen_pixel_size, too_coarse
from crisp_core.segmentation.checkpoints import NetworkInput, are_alike, input_difference, network_input, read_facts
from crisp_core.segmentation.settings import NetworkSettings
from crisp_core.segmentation.shipped import network_file
from crisp_core.settings.config import Config, DatasetSettings, ExperimentSettings
from crisp_core.settings.questions import split_run
from crisp_core.settings.shipped import datasets_of

PIXELS_PER_DIAMETER = 25


def with_working_pixel_sizes(settings: Config) -> Config:
    """Config in which every dataset has a working pixel size."""
    # first the datasets by which networks are compared with others
    compared = {entry.datasets[0] for entry in settings.networks.values()}
    for name in sorted(settings.datasets, key=lambda name: name not in compared):
        size = working_pixel_size(name, settings)
        preparation = settings.datasets[name].preparation.model_copy(update={"working_pixel_size": size})
        dataset = settings.datasets[name].model_copy(update={"preparation": preparation})
        settings = settings.model_copy(update={"datasets": {**settings.datasets, name: dataset}})
    return settings


def working_pixel_size(name: str, settings: Config) -> float:
    """Working pixel size of a dataset: the given one, or the one at which networks see its particle at their size.

    It is finer than the micrographs only for a network that was trained on others, which needs their size.

    Raises
    ------
    UserError
        If networks of different sizes are used on the dataset, or its micrographs are too coarse for one.
    """
    dataset = settings.datasets[name]
    if dataset.preparation.working_pixel_size is not None:
        return dataset.preparation.working_pixel_size
    sizes = pixels_per_diameter(name, settings)
    users = list(sizes)
    for user in users[1:]:
        if not are_alike(sizes[user], sizes[users[0]]):
            raise UserError(
                f"config, datasets/{name}: {users[0]} sees its particle {sizes[users[0]]:.3g} px wide and {user} "
                f"{sizes[user]:.3g} px; make an entry with `extend: {name}` for one of them"
            )
    size = next(iter(sizes.values()), PIXELS_PER_DIAMETER)
    wanted = round(dataset.particle_diameter_angstrom / size, 2)
    if not enlarged(name, settings):
        return max(wanted, dataset.pixel_size)
    if too_coarse(dataset.pixel_size, wanted):
        width = angstrom_to_px(dataset.particle_diameter_angstrom, dataset.pixel_size)
        raise UserError(
            f"config, datasets/{name}: a particle is {width:.3g} px wide, the network sees it {size:.3g} px wide; "
            f"give micrographs of at most {MOST_ENLARGED * wanted:.3g} Å/px"
        )
    seen = seen_pixel_size(dataset.pixel_size, wanted)
    width = angstrom_to_px(dataset.particle_diameter_angstrom, seen)
    return seen if all(are_alike(width, other) for other in sizes.values()) else wanted


def enlarged(dataset: str, settings: Config) -> bool:
    """Whether coarse micrographs of a dataset are enlarged: a network that was trained on others picks them."""
    experiments = experiments_on(dataset, settings).values()
    named = {one.network for one in experiments if isinstance(one.network, str)}
    own = {name for name, entry in settings.networks.items() if dataset in entry.datasets}
    return bool(named - own)


def pixels_per_diameter(dataset: str, settings: Config) -> dict[str, float]:
    """Width (px) at which each network that is used on a dataset sees its particle, by its place in the config.

    The first decides, whatever the order of `run`: a network that is trained on the dataset from random weights, so
    that its width does not depend on others; then one that is named, so that a network that starts from it leaves its
    picks as they are; of several, the smallest. An experiment with `trained` counts for nothing here: its folder's
    network is checked when the plan is made.
    """
    sizes = {}
    for name, entry in settings.networks.items():
        if dataset in entry.datasets:
            sizes[f"networks/{name}"] = entry.network.pixels_per_diameter
    found = []
    for name, experiment in experiments_on(dataset, settings).items():
        if experiment.picker is None and experiment.trained is None:
            rank = 1 if isinstance(experiment.network, str) else 2 * (experiment.training.start != "random")
            found.append((rank, network_size(experiment.network, settings), f"experiments/{name}"))
    return sizes | {name: size for _, size, name in sorted(found)}


def experiments_on(dataset: str, settings: Config) -> dict[str, ExperimentSettings]:
    """Experiments that runs, tables or comparisons use on a dataset, by name."""
    rows = set(rows_on(dataset, settings))
    return {
        name: entry
        for name, entry in settings.experiments.items()
        if name in rows or dataset in datasets_of(settings, name)
    }


def rows_on(dataset: str, settings: Config) -> Iterator[str]:
    """Rows of tables that name no dataset and are made on this one: the only one that runs, or that of such a row."""
    running = {split_run(run)[0] for run in settings.run}
    for table in settings.tables.values():
        rows = [row for row in table.rows if "/" not in row]
        if running == {dataset} or any(f"{dataset}/{row}" in settings.run for row in rows):
            yield from rows


def network_size(network: NetworkSettings | str, settings: Config) -> float:
    """Width of a particle for an experiment's network, in px: as its section, its entry or its file says."""
    if not isinstance(network, str):
        return network.pixels_per_diameter
    if network in settings.networks:
        first = settings.datasets[settings.networks[network].datasets[0]]
        given = first.preparation.working_pixel_size
        own = settings.networks[network].network.pixels_per_diameter
        return own if given is None else angstrom_to_px(first.particle_diameter_angstrom, given)
    return read_facts(network_file(network)).input.diameter_px


def dataset_difference(seen: NetworkInput, dataset: str, settings: Config) -> str | None:
    """First difference between a dataset and the images that a network expects, and its cure; None if it fits.

    Parameters
    ----------
    seen : NetworkInput
        Images that the network expects.
    dataset : str
        Name of the dataset in the config.
    settings : Config
        Settings of the whole configuration.
    """
    entry = settings.datasets[dataset]
    found = input_difference(seen, dataset_input(entry), diameter_angstrom=entry.particle_diameter_angstrom)
    return found and f"{found} in datasets/{dataset}"


def dataset_input(dataset: DatasetSettings) -> NetworkInput:
    """How a dataset looks to a network."""
    return network_input(dataset.preparation, dataset.particle_diameter_angstrom)


def named_input(network: str, settings: Config) -> NetworkInput:
    """How micrographs look to a network that is an entry of networks, a shipped network or a file."""
    if network not in settings.networks:
        return read_facts(network_file(network)).input
    return dataset_input(settings.datasets[settings.networks[network].datasets[0]])
