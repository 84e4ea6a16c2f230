"""What rules take from an experiment besides its network."""

from crisp_core.plan.micrographs import training_batches
from crisp_core.plan.plan import Plan
from crisp_core.settings.questions import particle_boxes


def searched_labels(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Labels, where the finders are compared on them; else nothing.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    if plan.experiment(experiment).centers.maps != "labels":
        return []
    return training_batches(plan, "results/{dataset}/labels/{batch}.h5", dataset=dataset)


def edge_box_px(plan: Plan, *, dataset: str, experiment: str) -> int:
    """Side of the box that must lie inside the micrograph; 0 where picks at the edge stay.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    settings = plan.experiment(experiment)
    return particle_boxes(plan.dataset(dataset), settings).box_px if settings.removal.edge else 0
