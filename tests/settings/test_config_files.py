"""What YAML would read otherwise than a config file says it."""

import pytest

from crisp_core.errors import UserError
from crisp_core.settings.config_files import check_config_files


def check(folder, text):
    path = folder / "my.yaml"
    path.write_text(text, encoding="utf-8")
    check_config_files([path])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: a is given twice, first in line 1"),
        ("d:\n  one: {x: 1}\n  two: {x: 1}\n  one: {x: 2}\n", "line 4: d/one is given twice, first in line 2"),
        ("d: [{x: 1, y: 2, x: 1}]\n", "line 1: d/x is given twice"),
        ('{"run": [1], "run": [2]}', "line 1: run is given twice"),
        ("split: {train: [001, 010]}\n", "line 1: split/train is 001, which YAML reads as 1; "),
        ("a: 1\npixel_size: 010\n", "line 2: pixel_size is 010, which YAML reads as 8; "),
        ("pixel_size: 1:30\n", "line 1: pixel_size is 1:30, which YAML reads as 90; "),
    ],
)
def test_a_silent_change_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(UserError) as caught:
        check(tmp_path, text)
    assert f"{tmp_path}/my.yaml, {message}" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\ufeffa: 1\n",
        "a: {x: 1}\nb: {x: 1}\nc: [{x: 1}, {x: 1}]\n",
        "a: [0, 10, 0.5, 1.0e-3, -0, 0.0, 100]\n",
        "a: ['001', \"010\", mic_001, 2026-01-01]\n",
        "base: &base {x: 1}\na:\n  <<: *base\n  x: 2\nb: *base\n",
        "a: &a [*a]\n",
        '{\n\t"a": 1\n}\n',
    ],
)
def test_what_is_read_as_written_passes(tmp_path, text):
    check(tmp_path, text)


def test_the_configs_of_the_project_pass(request):
    root = request.config.rootpath
    check_config_files([root / "config.yaml", *sorted((root / "examples").glob("*.yaml"))])
