"""Candidates of every picker on a test set, kept micrograph by micrograph, so that an interrupted run goes on.

A candidate is a pick whatever its score; picks on masked area (borders) are removed, as in the workflow, except those
of published files.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
from general_sets import DATA, TestSet

from crisp_core.formats.arrays import read_array, write_array
from crisp_core.formats.coordinates.placing import to_top_left
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.images import read_micrograph
from crisp_core.pickers.picker import Batch, Picker
from crisp_core.pickers.relion_log import RelionLog
from crisp_core.pickers.skimage_log import SkimageLog
from crisp_core.pickers.topaz import PretrainedTopaz
from crisp_core.picking.removal import drop_picks
from crisp_core.preparation.normalization import prepare

THREADS = 2
# Micrographs that a program picks in one call.
MOST_TOGETHER = 4
# Width of a particle (px) in the prepared images: that at which CRISP's networks see one.
WORKING_DIAMETER_PX = 25.0
# Å/px of Topaz's own tutorial (EMPIAR-10025: 0.66 Å/px, down-sampled eight times).
TOPAZ_PIXEL_SIZE = 5.3
COLUMNS = ["micrograph", "x", "y", "score"]
# Sets of which a network's maps are kept.
MAPPED_SETS = ("empiar-10017", "empiar-10146", "micassess", "proteins", "proteins-half-snr")

Pick = Callable[[pd.DataFrame], pd.DataFrame]


class Source(NamedTuple):
    """Candidates of one picker: name of their folder, and function from micrographs of one kind to candidates."""

    name: str
    pick: Pick


class Entry(NamedTuple):
    """Row of the tables: a picker with a rule for its threshold.

    Attributes
    ----------
    name : str
    source : Source
    threshold : float, str or None
        Number, `published` for all candidates, or None for the threshold of best F1 on the validation proteins.
    leak : str
        Whether the picker was trained on micrographs of a set.
    files : str or None
        Name in `PUBLISHED`, for picks that exist for some micrographs of EMPIAR-10017 only.
    """

    name: str
    source: Source
    threshold: float | str | None
    leak: str = "no"
    files: str | None = None


def candidates(source: Source, test: TestSet, folder: Path) -> pd.DataFrame:
    """Candidates of a picker on a test set: those in the folder, and new ones for the micrographs without any.

    Parameters
    ----------
    source : Source
    test : TestSet
    folder : Path
        Results of this benchmark.
    """
    place = folder / "candidates" / test.name / source.name
    place.mkdir(parents=True, exist_ok=True)
    done = {path.stem for path in place.glob("*.tsv")}
    missing = test.micrographs[~test.micrographs["micrograph"].isin(done)].assign(test=test.name)
    for chunk in chunks(missing):
        start = time.perf_counter()
        found = source.pick(chunk)
        seconds = (time.perf_counter() - start) / len(chunk)
        for name in chunk["micrograph"]:
            part = place / f"{name}.part"
            found.loc[found["micrograph"] == name, COLUMNS].to_csv(part, sep="\t", index=False, float_format="%.6g")
            part.rename(place / f"{name}.tsv")
        print(f"{test.name}, {source.name}: {', '.join(chunk['micrograph'])}, {seconds:.1f} s each", flush=True)
    files = [place / f"{name}.tsv" for name in test.micrographs["micrograph"]]
    return pd.concat([pd.read_csv(file, sep="\t", dtype={"micrograph": str}) for file in files], ignore_index=True)


def chunks(micrographs: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Micrographs of one pixel size and diameter, a few at a time."""
    for _, alike in micrographs.groupby(["pixel_size", "diameter_angstrom"], sort=False):
        for start in range(0, len(alike), MOST_TOGETHER):
            yield alike.iloc[start : start + MOST_TOGETHER]


def program(name: str, picker: Picker, *, working_pixel_size: float | None = None) -> Source:
    """Another program, on prepared images or on whole micrographs.

    Parameters
    ----------
    name : str
    picker : Picker
    working_pixel_size : float, optional
        Å/px of the prepared images; by default a particle is `WORKING_DIAMETER_PX` wide.
    """

    def pick(micrographs: pd.DataFrame) -> pd.DataFrame:
        """Prepare, pick, and remove picks on masked area."""
        pixel_size, diameter = micrographs.iloc[0][["pixel_size", "diameter_angstrom"]].astype(float)
        working = max(working_pixel_size or diameter / WORKING_DIAMETER_PX, pixel_size)
        with tempfile.TemporaryDirectory() as place:
            images, room = Path(place) / "images.h5", Path(place) / "program"
            room.mkdir()
            write_prepared(images, micrographs, working)
            paths = dict(zip(micrographs["micrograph"], micrographs["path"], strict=True))
            found = picker.pick(Batch(images, paths, pixel_size, diameter, room, threads=THREADS))
            if found.failed:
                raise SystemExit(f"{name}: {found.failed}")
            return on_valid_area(found.picks, images)

    return Source(name, pick)


def write_prepared(path: Path, micrographs: pd.DataFrame, working_pixel_size: float) -> None:
    """Write prepared images and their valid area, as rule prepare does."""
    with h5py.File(path, "w") as file:
        for row in micrographs.itertuples():
            image = read_micrograph(row.path, pixel_size=row.pixel_size).image
            prepared = prepare(image, row.pixel_size, working_pixel_size=working_pixel_size)
            grid = {"pixel_size": prepared.pixel_size, "full_shape": image.shape}
            write_array(file, "image", row.micrograph, prepared.image, **grid)
            write_array(file, "valid", row.micrograph, prepared.valid, **grid)


def on_valid_area(picks: pd.DataFrame, images: Path) -> pd.DataFrame:
    """Picks that are not on masked area."""
    kept = [picks.iloc[:0]]
    for name, rows in picks.groupby("micrograph"):
        valid = read_array(images, "valid", name)
        kept.append(drop_picks(rows, full_shape=valid.full_shape, valid=valid.data).kept)
    return pd.concat(kept, ignore_index=True)


class PublishedPicks(NamedTuple):
    """Files of published picks of EMPIAR-10017: * is the micrograph; format and origin as in the config's `picker`."""

    pattern: str
    format: str
    origin: str = "bottom-left"
    leak: str = "unknown"

    def file(self, name: str, micrograph: str) -> Path:
        """File of a micrograph; `name` is the folder of the picker."""
        return DATA / "empiar-10017/published_picks" / name / self.pattern.replace("*", micrograph)


PUBLISHED = {
    # its general model was trained on this data set
    "crYOLO": PublishedPicks("*.box", "eman", leak="yes"),
    "topaz": PublishedPicks("*.box", "eman"),
    "deepPicker": PublishedPicks("*.box", "eman"),
    "CASSPER": PublishedPicks("*.star", "relion"),
    "DRPnet": PublishedPicks("*_jpgframe.csv", "cryoppp", origin="top-left"),
}


def published(name: str) -> Source:
    """Picks that others published for EMPIAR-10017, one of `PUBLISHED`."""
    given = PUBLISHED[name]

    def pick(micrographs: pd.DataFrame) -> pd.DataFrame:
        """Read the files of these micrographs."""
        tables = []
        for row in micrographs.itertuples():
            table = read_coordinates(given.file(name, row.micrograph), format=given.format, micrograph=row.micrograph)
            height = read_micrograph(row.path, pixel_size=row.pixel_size).image.shape[0]
            heights = {row.micrograph: height}
            tables.append(to_top_left(table.assign(micrograph=row.micrograph), heights, origin=given.origin))
        return pd.concat(tables, ignore_index=True)

    return Source(f"published-{name}", pick)


def with_picks(entry: Entry, test: TestSet) -> TestSet:
    """Test set without the micrographs that nobody published picks of."""
    if entry.files is None:
        return test
    names = test.micrographs["micrograph"] if test.name.startswith("empiar-10017") else []
    has = {name for name in names if PUBLISHED[entry.files].file(entry.files, name).exists()}
    return test._replace(micrographs=test.micrographs[test.micrographs["micrograph"].isin(has)])


def program_entries() -> list[Entry]:
    """Rows of other programs."""
    small, large = PretrainedTopaz(model="resnet8_u32"), PretrainedTopaz(model="resnet16_u64")
    tutorial = program("topaz-resnet16", large, working_pixel_size=TOPAZ_PIXEL_SIZE)
    relion, skimage = program("relion-log", RelionLog()), program("skimage-log", SkimageLog())
    return [
        Entry("Topaz pretrained, its own settings", tutorial, 0.0, "unknown"),
        Entry("Topaz pretrained, CRISP's settings", program("topaz-resnet8", small), None, "unknown"),
        # its figures of merit differ between data sets, so that a threshold of the validation proteins means nothing
        Entry("RELION LoG, its own threshold", relion, "published"),
        Entry("scikit-image LoG", skimage, None),
        *(
            Entry(f"{name}, published picks", published(name), "published", given.leak, files=name)
            for name, given in PUBLISHED.items()
        ),
    ]


class Network(NamedTuple):
    """Network of CRISP with the settings that pick: its rows' name, the digest of all of it, and the loaded network."""

    name: str
    digest: str
    trained: Any
    finder: Any
    threshold: float | None
    turns: bool


def digest_of(path: Path, *settings: Any) -> str:
    """Eight digits of the digest of a file and of settings."""
    return hashlib.sha256(path.read_bytes() + repr(settings).encode()).hexdigest()[:8]


def network_source(network: Network, folder: Path) -> Source:
    """Candidates of a network; its maps of the real sets are kept for pictures and for the scores of classes.

    Parameters
    ----------
    network : Network
    folder : Path
        Results of this benchmark.
    """
    from crisp_core.pipeline import pick_micrograph

    def pick(micrographs: pd.DataFrame) -> pd.DataFrame:
        """Pick as the workflow does, whatever the score."""
        tables = []
        for row in micrographs.itertuples():
            image = read_micrograph(row.path, pixel_size=row.pixel_size).image
            found = pick_micrograph(
                image,
                row.pixel_size,
                network.trained,
                diameter_angstrom=row.diameter_angstrom,
                threshold=0.0,
                finder=network.finder,
                turns=network.turns,
            )
            tables.append(found.picks.assign(micrograph=row.micrograph))
            if row.test in MAPPED_SETS:
                keep_map(map_file(folder, network, row.test, row.micrograph), found)
        return pd.concat(tables, ignore_index=True)

    return Source(f"crisp-{network.digest}", pick)


def map_file(folder: Path, network: Network, test: str, micrograph: str) -> Path:
    """File of the maps of a network on a micrograph of a test set."""
    return folder / "maps" / network.digest / test / f"{micrograph}.npz"


def keep_map(path: Path, found: Any) -> None:
    """Write probability, classes, prepared image and valid area."""
    path.parent.mkdir(parents=True, exist_ok=True)
    classes = np.zeros((0, 0), np.uint8) if found.classes is None else found.classes
    arrays = {"probability": found.probability.astype(np.float16), "image": found.prepared.image.astype(np.float16)}
    np.savez_compressed(
        path, **arrays, classes=classes, valid=found.prepared.valid, pixel_size=found.prepared.pixel_size
    )
