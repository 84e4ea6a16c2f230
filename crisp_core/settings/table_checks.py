"""Checks of tables and comparisons."""

from crisp_core.errors import UserError
from crisp_core.settings.config import Config
from crisp_core.settings.questions import has_independent_truth, is_empty
from crisp_core.settings.run_checks import check_defined, check_run


def check_table(name: str, settings: Config) -> None:
    """Refuse a table with a row that is not defined."""
    for row in settings.tables[name].rows:
        *dataset, experiment = row.split("/")
        for section, entry in [("experiments", experiment), *(("datasets", entry) for entry in dataset)]:
            check_defined(f"config, tables/{name}/rows", section, entry, settings, shown=row)
        if settings.experiments[experiment].picker is not None:
            raise UserError(
                f"config, tables/{name}/rows: {row} has a picker and no network; list it in comparisons/…/entries"
            )
        if dataset:
            check_run(row, settings)
            if is_empty(settings.datasets[dataset[0]].split, "test"):
                raise UserError(
                    f"config, tables/{name}/rows: {row} is compared on the test part, which is empty; "
                    f"put a micrograph into datasets/{dataset[0]}/split/test"
                )
            if not has_independent_truth(settings.datasets[dataset[0]]):
                raise UserError(f"config, tables/{name}/rows: {row} has no coordinates to be compared with; give some")


def check_comparison(name: str, settings: Config) -> None:
    """Refuse a comparison of what is not defined, without truth, or with a consensus that nothing can reach."""
    comparison, place = settings.comparisons[name], f"config, comparisons/{name}"
    dataset = comparison.dataset
    for section, entry in [("datasets", dataset), *(("experiments", entry) for entry in comparison.entries)]:
        check_defined(place, section, entry, settings)
    if not has_independent_truth(settings.datasets[dataset]):
        raise UserError(f"{place}/dataset: {dataset} has no coordinates to compare with; give some, or another dataset")
    if is_empty(settings.datasets[dataset].split, comparison.part):
        raise UserError(
            f"{place}/part: datasets/{dataset}/split leaves no micrograph for {comparison.part}; name another part"
        )
    if comparison.consensus_at_least > len(comparison.entries):
        raise UserError(
            f"{place}/consensus_at_least: {comparison.consensus_at_least} is more than the number of entries, "
            f"{len(comparison.entries)}; lower it"
        )
    if "consensus" in comparison.entries:
        raise UserError(f"{place}/entries: consensus is the name of the row of consensus picks; rename this experiment")
    for entry in comparison.entries:
        check_run(f"{dataset}/{entry}", settings)
