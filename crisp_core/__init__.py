"""CRISP: cryo-EM image segmentation and picking with conditional random fields.

Importing the package imports nothing else, so that it is quick: a public name imports its module when it is first used.
"""

from importlib import import_module

__version__ = "0.1.0"

PUBLIC = {
    "UserError": "errors",
    "load_network": "segmentation.networks",
    "pick_micrograph": "pipeline",
    "read_coordinates": "formats.coordinates.registry",
    "read_micrograph": "formats.images",
    "read_volume": "formats.volumes",
    "simulate_micrograph": "simulation.micrograph",
    "snakefile": "installation",
    "write_coordinates": "formats.coordinates.registry",
    "write_mrc": "formats.mrc",
}
__all__ = [*PUBLIC, "__version__"]


def __getattr__(name: str) -> object:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
