"""Networks that come with CRISP in the settings: where one is the default, and their finder and threshold."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.evaluation.calibration import apply_calibration
from crisp_core.picking.finders import chosen_finder
from crisp_core.picking.settings import CenterSettings
from crisp_core.segmentation.shipped import DEFAULT_NETWORK, SHIPPED_NETWORKS, read_shipped_centers
from crisp_core.settings.config import Config
from crisp_core.settings.questions import has_independent_truth, named_runs, split_run

# sections of an experiment that describe a network of its own
OWN_NETWORK = {"network", "training", "crf", "seed", "trained", "picker"}
# scores at which the expected precision is looked up
SCORE_STEPS = 1001


def with_default_networks(settings: Config) -> Config:
    """Config in which an experiment that describes no network takes the shipped one, where nothing can train its own.

    That is so where no dataset of its runs, tables and comparisons has coordinates.
    """
    experiments = dict(settings.experiments)
    for name, entry in settings.experiments.items():
        datasets = set(datasets_of(settings, name))
        undefined = datasets - settings.datasets.keys()
        if OWN_NETWORK & entry.model_fields_set or not datasets or undefined:
            continue
        if not any(has_independent_truth(settings.datasets[dataset]) for dataset in datasets):
            experiments[name] = entry.model_copy(update={"network": DEFAULT_NETWORK})
    return settings.model_copy(update={"experiments": experiments})


def datasets_of(settings: Config, experiment: str) -> Iterator[str]:
    """Datasets on which an experiment is used: those of runs, of rows of tables and of comparisons."""
    for run in named_runs(settings):
        dataset, name = split_run(run)
        if name == experiment:
            yield dataset
    yield from (each.dataset for each in settings.comparisons.values() if experiment in each.entries)


def shipped_name(network: Any, networks: Mapping[str, Any]) -> str | None:
    """Name of the shipped network that an experiment's `network` means; None for any other network.

    Parameters
    ----------
    network : str or NetworkSettings
        Key network of the experiment.
    networks : mapping
        Section networks of the config; an entry there comes before a shipped network of the same name.
    """
    return network if isinstance(network, str) and network in SHIPPED_NETWORKS and network not in networks else None


def given_centers(centers: CenterSettings, shipped: str | None) -> dict[str, Any]:
    """Finder and threshold where no validation part chooses them: the config's, or else those of the shipped network.

    The calibration of a shipped network holds for its own finder alone. The threshold is None if neither gives one.

    Raises
    ------
    UserError
        If no score has the precision that the config asks for.
    """
    defaults = read_shipped_centers(shipped) if shipped else {}
    finder = defaults.get("finder", "search") if centers.finder == "search" else centers.finder
    calibration = defaults.get("calibration")
    if calibration is not None and chosen_finder(finder) != chosen_finder(defaults["finder"]):
        calibration = None
    chosen = {"finder": finder, "threshold": _threshold(centers, defaults.get("threshold"), calibration)}
    return chosen if calibration is None else {**chosen, "calibration": calibration}


def _threshold(centers: CenterSettings, default: float | None, calibration: Mapping[str, Any] | None) -> float | None:
    if centers.threshold is not None:
        return centers.threshold
    if centers.target_precision is None:
        return default
    return None if calibration is None else lowest_score(calibration, centers.target_precision)


def lowest_score(calibration: Mapping[str, Any], target_precision: float) -> float:
    """Lowest score from which on picks have an expected precision of at least `target_precision`.

    Raises
    ------
    UserError
        If no score has it.
    """
    scores = np.linspace(0, 1, SCORE_STEPS)
    expected = apply_calibration(scores, pd.DataFrame(calibration))
    if expected[-1] < target_precision:
        raise UserError(
            f"centers/target_precision: {target_precision:g} is above the highest expected precision of the network, "
            f"{expected[-1]:.3g}; give a lower one, or a threshold"
        )
    return float(scores[np.argmax(expected >= target_precision)])
