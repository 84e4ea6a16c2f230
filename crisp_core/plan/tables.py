"""Files of the tables that compare experiments and seeds."""

from crisp_core.plan.jobs import batch_jobs, training_jobs
from crisp_core.plan.networks import predictor
from crisp_core.plan.plan import Plan
from crisp_core.settings.questions import split_run
from crisp_core.settings.seeded import seeded_name


def table_runs(plan: Plan, *, dataset: str, table: str) -> list[tuple[str, str, int, str]]:
    """Rows of a table, as (dataset, experiment, seed, name of the experiment with this seed).

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, table : str
        Names of the dataset and of the table in the config.
    """
    rows = []
    for row in plan.settings.tables[table].rows:
        own, name = split_run(row)
        for seed in table_seeds(plan, table, name):
            rows.append((own or dataset, name, seed, seeded_name(name, seed, plan.settings)))
    return rows


def table_seeds(plan: Plan, table: str, experiment: str) -> list[int]:
    """Seeds of an experiment in a table; a network that is trained already has one.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    table : str
        Name of the table in the config.
    experiment : str
        Name of the experiment in the config.
    """
    settings, seeds = plan.experiment(experiment), plan.settings.tables[table].seeds
    given = isinstance(settings.network, str) and settings.network not in plan.settings.networks
    return seeds[:1] if settings.trained or given else seeds


def table_files(plan: Plan, name: str, *, dataset: str, table: str) -> list[str]:
    """One result of all experiments of a table.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    name : str
        Path of the result below the experiment's folder.
    dataset, table : str
        Names of the dataset and of the table in the config.
    """
    return [f"results/{d}/{run}/{name}" for d, _, _, run in table_runs(plan, dataset=dataset, table=table)]


def table_checkpoints(plan: Plan, *, dataset: str, table: str) -> list[str]:
    """Checkpoints that predict in the experiments of a table.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, table : str
        Names of the dataset and of the table in the config.
    """
    return [predictor(plan, d, run) for d, _, _, run in table_runs(plan, dataset=dataset, table=table)]


def table_jobs(plan: Plan, *, dataset: str, table: str) -> list[dict[str, list[tuple[str, str]]]]:
    """Folders and jobs whose times are the cost of each row of a table: of train, predict and, with a CRF, train_crf.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, table : str
        Names of the dataset and of the table in the config.
    """
    return [
        training_jobs(plan, d, run) | {"predict": batch_jobs(plan, d, run, "predict")}
        for d, _, _, run in table_runs(plan, dataset=dataset, table=table)
    ]
