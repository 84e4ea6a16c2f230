"""Records of a dataset's micrographs between calls: batches and additions.

`results/<dataset>/batches.tsv` records the batch and the addition of every micrograph. The first addition is closed
once `results/<dataset>/split/drawn.tsv` exists: see docs/design.md, "Additions".
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from crisp_core.datasets.batches import Place, read_places, write_places


def places_file(dataset: str, prefix: str = "") -> Path:
    """Path of the record of a dataset's batches."""
    return Path(f"{prefix}results/{dataset}/batches.tsv")


def parts_file(dataset: str, prefix: str = "") -> Path:
    """Path of a dataset's drawn parts."""
    return Path(f"{prefix}results/{dataset}/split/drawn.tsv")


def recorded_places(dataset: str, prefix: str = "") -> dict[str, Place]:
    """Places of the micrographs that earlier calls knew."""
    return read_places(places_file(dataset, prefix))


def is_closed(dataset: str, prefix: str = "") -> bool:
    """Whether training and validation parts are drawn, so that new micrographs are an addition."""
    return parts_file(dataset, prefix).exists()


def record_places(dataset: str, places: Mapping[str, Place], *, gone: Collection[str] = (), prefix: str = "") -> None:
    """Record the places of all micrographs; those that are missing at the moment stay, those in `gone` are removed.

    Parameters
    ----------
    dataset : str
        Name of the dataset in the config.
    places : mapping of str to Place
        Batch and addition of each micrograph, by micrograph name.
    gone : collection of str
        Names of the micrographs to remove from the record.
    prefix : str
        Prefix before results/, where another workflow imports this one.
    """
    recorded = recorded_places(dataset, prefix)
    kept = {name: place for name, place in recorded.items() if name not in gone}
    kept |= places
    if kept.keys() != recorded.keys():
        write_places(places_file(dataset, prefix), kept)
