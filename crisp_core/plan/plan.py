"""The plan: validated settings and the table of micrographs, and the lists that follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from crisp_core.settings.config import Config, DatasetSettings, ExperimentSettings
from crisp_core.settings.questions import datasets_in_use, label_source, split_run

# the addition with which a dataset begins, and what belongs to all of them
FIRST, EVERY = "0", "every"


@dataclass(frozen=True)
class Plan:
    """Validated settings and the table of micrographs; every other question is a function of these two.

    A few also read the user's corrections and CTF files, or look which earlier results exist.

    Attributes
    ----------
    settings : Config
        As `settings.check_settings` returns them.
    micrographs : DataFrame
        One row per micrograph: dataset, micrograph, path (empty for a simulated one), batch (four digits), addition.
    prefix : str
        Before results/, where another workflow imports this one with a prefix; the answers are without it.
    left_out : mapping
        Files that a dataset's patterns match although they are not to be picked, as {dataset: {path: reason}}.
    """

    settings: Config
    micrographs: pd.DataFrame
    prefix: str = ""
    left_out: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def dataset(self, name: str) -> DatasetSettings:
        """Settings of a dataset."""
        return self.settings.datasets[name]

    def experiment(self, name: str) -> ExperimentSettings:
        """Settings of an experiment."""
        return self.settings.experiments[name]

    def batch(self, dataset: str, batch: str) -> Mapping[str, str]:
        """Paths of a batch as {micrograph: path}; empty for a batch without micrographs of this call."""
        return self.batches[dataset].get(batch, {})

    def batches_of(self, dataset: str, addition: str) -> list[str]:
        """Batches of an addition."""
        return [batch for batch, number in self.additions[dataset].items() if number == addition]

    def makes(self, path: str) -> bool:
        """Whether a path, without prefix, is that of a result; the user's own files may be below results/, too."""
        top, _, rest = path.partition("/")
        return top == "results" and rest.partition("/")[0] in {*self.datasets, "networks"}

    def with_prefix(self, value: Any) -> Any:
        """A value with the prefix before every path of a result in it, at any depth."""
        if isinstance(value, Mapping):
            return {self.with_prefix(key): self.with_prefix(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return [self.with_prefix(entry) for entry in value]
        return self.prefix + value if isinstance(value, str) and self.makes(value) else value

    def owns(self, folder: str) -> bool:
        """Whether a folder is that of one of the runs."""
        return folder in [f"{self.prefix}results/{run}" for run in self.runs]

    @property
    def runs(self) -> list[str]:
        """Runs of the config, as dataset/experiment."""
        return self.settings.run

    @cached_property
    def datasets(self) -> list[str]:
        """Datasets in use."""
        return datasets_in_use(self.settings)

    @cached_property
    def run_datasets(self) -> list[str]:
        """Datasets of the runs."""
        return sorted({split_run(run)[0] for run in self.runs})

    @cached_property
    def simulated(self) -> list[str]:
        """Datasets that are simulations."""
        return [name for name in self.datasets if self.dataset(name).simulation is not None]

    @cached_property
    def with_coordinates(self) -> list[str]:
        """Datasets whose coordinates are files."""
        return [name for name in self.datasets if self.dataset(name).coordinates is not None]

    @cached_property
    def with_corrections(self) -> list[str]:
        """Datasets whose particles are corrected picks."""
        return [name for name in self.datasets if self.dataset(name).corrections is not None]

    @property
    def labelled(self) -> list[str]:
        """Datasets with known particles on some micrographs."""
        return self.simulated + self.with_coordinates + self.with_corrections

    @cached_property
    def pickers(self) -> list[str]:
        """Experiments in which another program picks."""
        return [name for name, experiment in self.settings.experiments.items() if experiment.picker]

    @cached_property
    def with_network(self) -> list[str]:
        """Experiments in which a network predicts."""
        return [name for name in self.settings.experiments if name not in self.pickers]

    @cached_property
    def batches(self) -> dict[str, dict[str, dict[str, str]]]:
        """Paths of the micrographs as {dataset: {batch: {micrograph: path}}}, in order."""
        batches: dict[str, dict[str, dict[str, str]]] = {name: {} for name in self.datasets}
        for row in self.micrographs.itertuples():
            batches[row.dataset].setdefault(row.batch, {})[row.micrograph] = row.path
        return batches

    @cached_property
    def additions(self) -> dict[str, dict[str, str]]:
        """Addition of every batch as {dataset: {batch: addition}}, in order."""
        additions: dict[str, dict[str, str]] = {name: {} for name in self.datasets}
        for row in self.micrographs.itertuples():
            additions[row.dataset][row.batch] = row.addition
        return additions

    def labels_come_from(self, *sources: str) -> list[str]:
        """Labelled datasets whose labels come from one of the sources."""
        return [name for name in self.labelled if label_source(self.dataset(name)) in sources]
