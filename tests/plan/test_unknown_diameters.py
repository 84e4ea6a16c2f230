"""`particle_diameter_angstrom: auto`: estimated once, before the plan."""

import sys
from pathlib import Path

import pytest
import yaml

from crisp_core.errors import UserError
from crisp_core.plan import unknown_diameters
from crisp_core.plan.unknown_diameters import run_showing, with_diameters

ENTRY = {"micrographs": "*.mrc", "pixel_size": 1.5, "particle_diameter_angstrom": "auto"}


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
    datasets = {"mine": ENTRY, "copy": {"extend": "mine"}, "known": {"particle_diameter_angstrom": 90}}
    config = {"run": ["mine/unet"], "networks": {"both": {"datasets": ["copy"]}}, "datasets": datasets}
    for _ in range(2):
        found = with_diameters(config)["datasets"]
        assert [entry["particle_diameter_angstrom"] for entry in found.values()] == [123.4, 123.4, 90]
        assert [entry["diameter_estimated"] for entry in found.values()] == [True, True, False]
    assert len(commands) == 2
    assert sum(word.endswith(".mrc") for word in commands[0]) == 10
    assert config["datasets"]["mine"]["particle_diameter_angstrom"] == "auto"


def test_nothing_is_estimated_for_a_dataset_that_nothing_names(commands):
    absent = ENTRY | {"micrographs": "unmounted/*.mrc"}
    found = with_diameters({"run": ["mine/unet"], "datasets": {"mine": ENTRY, "other": absent}})["datasets"]
    assert len(commands) == 1 and found["mine"]["particle_diameter_angstrom"] == 123.4
    assert isinstance(found["other"]["particle_diameter_angstrom"], float)


@pytest.mark.parametrize(
    ("change", "n_estimates"),
    [
        ({}, 1),
        ({"pixel_size": 1.505}, 1),
        ({"pixel_size": 3.0}, 2),
        ({"micrographs": ["m0[5-9].mrc", "m2*.mrc"]}, 1),
        ({"micrographs": "later*.mrc"}, 2),
        # an unmounted disk is for others to tell
        ({"micrographs": "unmounted/*.mrc"}, 1),
    ],
)
def test_another_pixel_size_and_other_micrographs_make_a_new_estimate(change, n_estimates, commands):
    Path("later.mrc").write_bytes(b"")
    given = {"run": ["mine/unet"], "datasets": {"mine": ENTRY | {"micrographs": "m*.mrc"}}}
    with_diameters(given)
    given["datasets"]["mine"] |= change
    for _ in range(2):
        with_diameters(given)
    assert len(commands) == n_estimates


def test_an_empty_file_of_an_estimate_is_refused(commands):
    Path("results/mine").mkdir(parents=True)
    Path("results/mine/diameter.yaml").write_text("")
    with pytest.raises(UserError, match=r"mine/diameter\.yaml: has no diameter_angstrom; delete the file"):
        with_diameters({"run": ["mine/unet"], "datasets": {"mine": ENTRY}})


def test_other_configs_are_unchanged(commands):
    config = {"datasets": {"known": {"particle_diameter_angstrom": 90}}}
    assert with_diameters(config) is config
    assert with_diameters({}) == {}
    assert not commands


def test_a_jobs_process_only_reads(commands):
    with pytest.raises(UserError, match=r"results/mine/diameter\.yaml: is missing; start the workflow again"):
        with_diameters({"run": ["mine/unet"], "datasets": {"mine": ENTRY}}, is_main=False)
    assert not commands


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pixel_size": None}, "auto needs micrographs and pixel_size"),
        ({"micrographs": "*.tif"}, "no file to estimate"),
        ({"micrographs_from_rules": True}, "auto needs micrographs that exist before all rules"),
    ],
)
def test_what_cannot_be_estimated_is_refused(change, message, commands):
    with pytest.raises(UserError, match=message):
        with_diameters({"run": ["mine/unet"], "datasets": {"mine": ENTRY | change}})


def test_an_unclear_estimate_ends_the_run_with_its_reason(monkeypatch):
    line = "particle_diameter_angstrom: auto is not clear, two sizes; measure a particle"
    monkeypatch.setattr(unknown_diameters, "run_showing", lambda command: line)
    with pytest.raises(UserError, match=r"config, datasets/mine/particle_diameter_angstrom: auto is not clear, two"):
        with_diameters({"run": ["mine/unet"], "datasets": {"mine": ENTRY}})


@pytest.mark.parametrize(("code", "reason"), [(0, None), (1, "two sizes")])
def test_the_progress_of_an_estimate_is_shown(code, reason, caplog):
    script = f"import sys; print('looked at 1', 'error: two sizes', sep=chr(10), file=sys.stderr); sys.exit({code})"
    assert run_showing([sys.executable, "-c", script]) == reason
    assert caplog.messages == ["looked at 1", "error: two sizes"][: 2 - code]


@pytest.mark.slow
def test_an_estimate_from_unreadable_files_says_so(monkeypatch):
    # as `script_path` does for a run of the workflow in any folder
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with pytest.raises(UserError, match=r"datasets/mine/particle_diameter_angstrom: no micrograph can be read; m2"):
        with_diameters({"run": ["mine/unet"], "datasets": {"mine": ENTRY}})
