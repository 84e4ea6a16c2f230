"""`particle_diameter_angstrom: auto`: estimated once, before the plan."""

import contextlib
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from crisp_core.errors import UserError
from crisp_core.settings import unknown_diameters
from crisp_core.settings.unknown_diameters import run_showing, with_diameters

ENTRY = {"micrographs": "*.mrc", "pixel_size": 1.5, "particle_diameter_angstrom": "auto"}


def config(run=("mine/unet",), **datasets):
    return {"run": list(run), "datasets": datasets or {"mine": ENTRY}, "experiments": {"unet": {}}}


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i in range(25):
        (tmp_path / f"m{i:02d}.mrc").write_bytes(b"")


@pytest.fixture()
def commands(monkeypatch):
    """Commands of the estimates, which are not run: each writes 123.4 Å."""
    made = []

    def run(command):
        made.append(command)
        path = unknown_diameters.Path(command[command.index("--output") + 1])
        path.parent.mkdir(parents=True, exist_ok=True)
        files = [word for word in command if word.endswith(".mrc")]
        pixel_size = float(command[command.index("--pixel-size") + 1])
        facts = {"diameter_angstrom": 123.4, "pixel_size": pixel_size, "micrographs": files}
        path.write_text(yaml.safe_dump(facts))

    monkeypatch.setattr(unknown_diameters, "run_showing", run)
    return made


def test_the_estimate_is_made_once_and_inherited(commands):
    given = config(mine=ENTRY, copy={"extend": "mine"}, known=ENTRY | {"particle_diameter_angstrom": 90})
    given["networks"] = {"both": {"datasets": ["copy"]}}
    for _ in range(2):
        found = with_diameters(given)["datasets"]
        assert [entry["particle_diameter_angstrom"] for entry in found.values()] == [123.4, 123.4, 90]
        assert [entry["diameter_estimated"] for entry in found.values()] == [True, True, False]
    assert len(commands) == 2
    assert sum(word.endswith(".mrc") for word in commands[0]) == 10
    assert given["datasets"]["mine"]["particle_diameter_angstrom"] == "auto"


def test_nothing_is_estimated_for_a_dataset_that_nothing_uses(commands):
    given = config(mine=ENTRY, test=ENTRY | {"micrographs": "unmounted/*.mrc"})
    # neither the name of a part nor that of an experiment is the dataset's
    given["experiments"]["test"] = {}
    given["comparisons"] = {"both": {"dataset": "mine", "part": "test", "entries": ["unet", "test"]}}
    found = with_diameters(given)["datasets"]
    assert len(commands) == 1 and found["mine"]["particle_diameter_angstrom"] == 123.4
    assert isinstance(found["test"]["particle_diameter_angstrom"], float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, None),
        ({"pixel_size": 1.505}, None),
        ({"pixel_size": 3.0}, "was estimated at 1.5 Å/px, and pixel_size is 3 now; delete this file"),
        # ten of 25 were looked at, some of these among them
        ({"micrographs": ["m0*.mrc", "later*.mrc"]}, None),
        ({"micrographs": "later*.mrc"}, "was estimated from other micrographs; delete this file"),
        ({"micrographs": "day2/*.mrc"}, "was estimated from other micrographs; delete this file"),
        # an unmounted disk is for others to tell
        ({"micrographs": "unmounted/*.mrc"}, None),
    ],
)
def test_the_estimate_of_another_pixel_size_or_of_other_micrographs_is_refused(change, message, commands):
    with_diameters(config(mine=ENTRY | {"micrographs": "m*.mrc"}))
    Path("later.mrc").write_bytes(b"")
    Path("day2").mkdir()
    for path in Path().glob("m*.mrc"):
        shutil.copy(path, "day2")
    given = config(mine=ENTRY | {"micrographs": "m*.mrc"} | change)
    with pytest.raises(UserError, match=message) if message else contextlib.nullcontext():
        with_diameters(given)
    assert len(commands) == 1


def test_micrographs_may_be_moved(commands):
    with_diameters(config(mine=ENTRY | {"micrographs": "m*.mrc"}))
    Path("archive").mkdir()
    for path in Path().glob("m*.mrc"):
        path.rename(Path("archive") / path)
    with_diameters(config(mine=ENTRY | {"micrographs": "archive/*.mrc"}))
    assert len(commands) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no diameter_angstrom"),
        ("diameter_angstrom: .nan", "has no diameter_angstrom"),
        ("a: [", "is not a YAML"),
    ],
)
def test_a_broken_file_of_an_estimate_is_refused(content, message, commands):
    Path("results/mine").mkdir(parents=True)
    Path("results/mine/diameter.yaml").write_text(content)
    with pytest.raises(UserError, match=rf"mine/diameter\.yaml: {message}.*; delete this file"):
        with_diameters(config())


def test_other_configs_are_unchanged(commands):
    given = {"datasets": {"known": {"particle_diameter_angstrom": 90}}}
    assert with_diameters(given) is given
    assert with_diameters({}) == {}
    assert not commands


def test_a_jobs_process_only_reads(commands):
    with pytest.raises(UserError, match=r"results/mine/diameter\.yaml: is missing; start the workflow again"):
        with_diameters(config(), is_main=False)
    assert not commands


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (config(mine=ENTRY | {"pixel_size": None}), "mine/pixel_size"),
        (config(mine=ENTRY | {"micrographs": "*.tif"}), "no file to estimate"),
        (config(mine=ENTRY | {"micrographs_from_rules": True}), "auto needs micrographs that exist before all rules"),
        ({"datasets": {10017: ENTRY}}, "the key 10017 is not text"),
        # before the minutes of an estimate
        (config() | {"experiment": {}}, "experiment"),
    ],
)
def test_what_cannot_be_estimated_is_refused(given, message, commands):
    with pytest.raises(UserError, match=message):
        with_diameters(given)
    assert not commands


def test_an_unclear_estimate_ends_the_run_with_its_reason(monkeypatch):
    line = "particle_diameter_angstrom: auto is not clear, two sizes; measure a particle"
    monkeypatch.setattr(unknown_diameters, "run_showing", lambda command: line)
    with pytest.raises(UserError, match=r"config, datasets/mine/particle_diameter_angstrom: auto is not clear, two"):
        with_diameters(config())


@pytest.mark.parametrize(("code", "reason"), [(0, None), (1, "two sizes")])
def test_the_progress_of_an_estimate_is_shown(code, reason, caplog):
    script = f"import sys; print('read 1', 'error: two sizes', sep=chr(10), file=sys.stderr); sys.exit({code})"
    assert run_showing([sys.executable, "-c", script]) == reason
    assert caplog.messages == ["read 1", "error: two sizes"][: 2 - code]


@pytest.mark.slow
def test_an_estimate_that_cannot_be_made_or_written_says_so(monkeypatch):
    # as `script_path` does for a run of the workflow in any folder
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with pytest.raises(UserError, match=r"datasets/mine/particle_diameter_angstrom: no micrograph can be read; m2"):
        with_diameters(config())
    Path("results/mine").rmdir()
    Path("results/mine").write_text("")
    with pytest.raises(UserError, match=r"angstrom: results/mine/diameter\.yaml: cannot be written \(File exists"):
        with_diameters(config())
