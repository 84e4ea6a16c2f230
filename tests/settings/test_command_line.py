"""A run without a config file."""

import numpy as np
import pytest

from crisp_core.errors import UserError
from crisp_core.formats.mrc import write_mrc
from crisp_core.settings.checks import check_settings
from crisp_core.settings.command_line import describes_run, pixel_size_of, with_command_line

GIVEN = {"micrographs": "data/*.mrc", "diameter_angstrom": 150}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Working folder with the micrographs data/a.mrc and data/b.mrc of 1.5 Å/px."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in "ab":
        write_micrograph(name, 1.5)
    return tmp_path


def write_micrograph(name, pixel_size, side=64):
    image = np.random.default_rng(0).normal(size=(side, side))
    write_mrc(f"data/{name}.mrc", image, pixel_size=pixel_size, dtype=np.float32)


def test_micrographs_and_diameter_are_a_whole_config(folder):
    settings = check_settings(with_command_line(dict(GIVEN)))
    assert settings.run == ["micrographs/general"]
    dataset, experiment = settings.datasets["micrographs"], settings.experiments["general"]
    assert (dataset.pixel_size, dataset.particle_diameter_angstrom) == (1.5, 150)
    assert dataset.preparation.working_pixel_size == 5.45
    assert experiment.network == "general" and not experiment.particles.extract


def test_a_given_pixel_size_comes_before_the_headers(folder):
    write_micrograph("b", 3.0)
    settings = with_command_line(GIVEN | {"pixel_size": 2.5})
    assert settings["datasets"]["micrographs"]["pixel_size"] == 2.5


def test_other_configs_stay_as_they_are():
    given = {"run": ["a/b"], "datasets": {}, "experiments": {}}
    assert with_command_line(given) is given and not describes_run(given)


def test_a_config_file_without_run_changes_single_settings(folder):
    more = {
        "experiments": {"general": {"centers": {"threshold": 0.3}}},
        "datasets": {"micrographs": {"voltage_kv": 200}},
    }
    settings = check_settings(with_command_line(GIVEN | more | {"micrographs_per_job": 4}))
    assert settings.experiments["general"].centers.threshold == 0.3
    assert settings.datasets["micrographs"].voltage_kv == 200 and settings.datasets["micrographs"].pixel_size == 1.5
    assert settings.micrographs_per_job == 4


def test_a_trained_network_replaces_the_general_one(folder):
    more = {"experiments": {"general": {"trained": "results/mine/unet"}}}
    experiment = check_settings(with_command_line(GIVEN | more)).experiments["general"]
    assert experiment.trained == "results/mine/unet" and experiment.network != "general"


def test_an_unknown_diameter_is_left_to_the_estimate(folder):
    config = with_command_line(GIVEN | {"diameter_angstrom": "auto"})
    assert config["datasets"]["micrographs"]["particle_diameter_angstrom"] == "auto"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"micrographs": "data/*.mrc"}, "config, top level: diameter_angstrom is missing; give it .Longest extent"),
        ({"diameter_angstrom": 150}, "config, top level: micrographs is missing; give it"),
        (GIVEN | {"micrographs": "none/*.mrc"}, "config, micrographs: no file matches none/"),
        (GIVEN | {"micrographs": "data"}, "config, micrographs: data is a folder; name its files"),
        (GIVEN | {"diameter_angstrom": "15 nm"}, "diameter_angstrom: '15 nm' is not a number; give the longest extent"),
        (GIVEN | {"diameter_angstrom": True}, "diameter_angstrom: True is not a number"),
        (GIVEN | {"diameter_angstrom": -5}, "diameter_angstrom: -5 is too small"),
        (GIVEN | {"pixel_size": "1,5"}, "pixel_size: '1,5' is not allowed; give a number"),
        (GIVEN | {"pixel_size": 0.01}, "pixel_size: 0.01 is less than the minimum"),
        (GIVEN | {"diameter": 150}, "unknown key 'diameter'"),
        (GIVEN | {"run": ["mine/unet"]}, "describe a run, and run in the config file another one; remove"),
    ],
)
def test_a_mistake_on_the_command_line_gets_one_line(given, message, folder):
    with pytest.raises(UserError, match=message):
        check_settings(with_command_line(given))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"a": 1.0, "b": 0.0}, r"no header of the micrographs \(data/a\.mrc, …\) states it; .* pixel_size=1\.5"),
        ({"a": 1.5, "b": 3.0}, "a.mrc states 1.5 Å/px and that of data/b.mrc 3; pick them in two runs, or give it on"),
        ({"a": 0.15, "b": 0.15}, "a.mrc states 0.15 Å/px, which is implausible; give it on the command line"),
    ],
)
def test_headers_that_do_not_help_are_refused_with_the_cure(sizes, message, folder):
    for name, size in sizes.items():
        write_micrograph(name, size)
    with pytest.raises(UserError, match=message):
        pixel_size_of("data/*.mrc")


def test_a_header_that_states_nothing_and_a_by_product_do_not_count(folder):
    write_micrograph("a", 0.0)
    write_micrograph("b_thumb", 12.0, side=16)
    assert pixel_size_of("data/*.mrc") == 1.5


def test_a_job_reads_one_header(folder):
    write_micrograph("b", 3.0)
    assert pixel_size_of("data/*.mrc", is_main=False) == 1.5


def test_a_path_without_a_file_is_named(folder):
    with pytest.raises(UserError, match=r"config, micrographs: no file matches data/no\.mrc"):
        pixel_size_of("data/no.mrc")


def test_pictures_state_no_pixel_size(folder):
    (folder / "data/c.png").write_bytes(b"")
    with pytest.raises(UserError, match="no header of the micrographs"):
        pixel_size_of("data/*.png")
