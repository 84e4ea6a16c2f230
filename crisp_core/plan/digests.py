"""Digests of the code of scripts that use entries of a registry: other entries rerun nothing."""

import inspect
from collections.abc import Collection, Mapping
from pathlib import Path

from crisp_core.code_digest import code_digest
from crisp_core.installation import PACKAGE, workflow_folder
from crisp_core.options import Options
from crisp_core.pickers import PICKERS
from crisp_core.plan.networks import training_of
from crisp_core.plan.plan import Plan
from crisp_core.segmentation.losses import LOSSES
from crisp_core.settings.questions import picker_name


def training_code(plan: Plan, script: str, *, network: str) -> str:
    """Digest of the code of a script and of the losses of a network: a new loss retrains no network without it.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    script : str
        Script whose code is included in the digest.
    network : str
        Folder of the network below results/.
    """
    terms = training_of(plan, network).settings.training.loss
    return entry_code(script, LOSSES, [term if isinstance(term, str) else term["name"] for term in terms])


def picker_code(plan: Plan, script: str, *, experiment: str) -> str:
    """Digest of the code of a script and of the experiment's picker: a change of another picker reruns nothing.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    script : str
        Script whose code is included in the digest.
    experiment : str
        Name of the experiment in the config.
    """
    name = picker_name(plan.experiment(experiment))
    return entry_code(script, PICKERS, [name] if name else [])


def entry_code(script: str, registry: Mapping[str, type[Options]], chosen: Collection[str]) -> str:
    """Digest of the code of a script and of the entries of a registry that it uses.

    The registry itself (`__init__.py` beside its entries) and the other entries do not count.

    Parameters
    ----------
    script : str
        Name of the script.
    registry : mapping of name to model class
        One module for each entry, all in the folder of the registry.
    chosen : collection of str
        Names of the entries that the script uses.
    """
    modules = {name: Path(inspect.getfile(entry)) for name, entry in registry.items()}
    registries = {path.with_name("__init__.py") for path in modules.values()}
    path = workflow_folder() / "workflow_scripts" / f"{script}.py"
    used = [modules[name] for name in chosen]
    return code_digest(path, package=PACKAGE, chosen=used, among={*modules.values(), *registries})
