"""Networks that come with CRISP: weights `<name>.pt` and finder, threshold and digest `<name>.yaml`, in this folder.

`python -m crisp_core.segmentation.shipped add` installs a trained network here.
"""

import hashlib
from pathlib import Path
from typing import Any

from crisp_core.errors import UserError
from crisp_core.formats.centers import read_centers

FOLDER = Path(__file__).parent
SHIPPED_NETWORKS = tuple(sorted(path.stem for path in FOLDER.glob("*.pt")))
# network of an experiment that names none, on a dataset without coordinates
DEFAULT_NETWORK = "general"


def shipped_network(name: str) -> Path:
    """Checkpoint of a network that comes with CRISP.

    Raises
    ------
    UserError
        If no network of this name comes with CRISP.
    """
    return _file(name, ".pt")


def shipped_centers(name: str) -> Path:
    """File with finder and threshold of a shipped network, as a `centers.yaml`, and the SHA-256 of its weights."""
    return _file(name, ".yaml")


def read_shipped_centers(name: str) -> dict[str, Any]:
    """Contents of `shipped_centers`."""
    return read_centers(shipped_centers(name))


def is_placeholder(name: str) -> bool:
    """Whether the weights are zeros in place of a trained network, during development."""
    return bool(read_shipped_centers(name).get("placeholder", False))


def network_file(network: str) -> str:
    """Path of a network's checkpoint: of a shipped network by its name; any other text is a path already."""
    return str(shipped_network(network)) if network in SHIPPED_NETWORKS else network


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_digest(name: str) -> None:
    """Refuse a shipped network whose weights are not those of which its yaml file has the digest."""
    if sha256(shipped_network(name)) != read_shipped_centers(name)["sha256"]:
        raise UserError(f"{shipped_network(name)}: damaged, its SHA-256 is not the recorded one; install CRISP again")


def _file(name: str, suffix: str) -> Path:
    if name not in SHIPPED_NETWORKS:
        raise UserError(f"network {name}: does not come with CRISP; give one of {', '.join(SHIPPED_NETWORKS)}")
    return FOLDER / f"{name}{suffix}"
