"""Options and help of the program `crisp`."""

import shlex

import pytest

from crisp_core.cli import commands
from crisp_core.cli.main import main
from crisp_core.cli.options import parser

TRAIN = "train a.mrc b.mrc --coordinates a.box b.box --origin top-left --diameter 150 --out trained"


@pytest.mark.parametrize("name", ["pick", "train", "predict", "report"])
def test_the_help_of_a_subcommand_has_an_example_that_can_be_parsed(name, capsys):
    with pytest.raises(SystemExit) as end:
        parser().parse_args([name, "--help"])
    shown = capsys.readouterr().out
    examples = [line.strip() for line in shown.splitlines() if line.startswith(f"  crisp {name} ")]
    assert end.value.code == 0 and examples
    for line in examples:
        assert parser().parse_args(shlex.split(line)[1:]).work is getattr(commands, name)


def test_the_help_of_the_program_names_the_subcommands(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    shown = capsys.readouterr().out
    assert all(f"\n    {name} " in shown for name in ("pick", "train", "predict", "report"))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("", "crisp: the following arguments are required: SUBCOMMAND; see crisp --help"),
        ("pick a.mrc", "crisp pick: the following arguments are required: --diameter, --out; see crisp pick --help"),
        ("pick --diameter 150 --out o", "crisp pick: the following arguments are required: MICROGRAPH"),
        ("pick a.mrc --diameter 150 --out o --thresh 1", "unrecognized arguments: --thresh 1"),
        ("pick a.mrc --diameter 150 --out o --threshold 2", "'2' is not a number from 0 to 1"),
        ("pick a.mrc --diameter 150 --out o --pixel-size 0", "'0' is not a positive number"),
        ("pick a.mrc --diameter 150 --out o --cores none", "'none' is not a whole number from 1 on"),
        ("pick a.mrc --diameter big --out o", "--diameter: 'big' is not a number; give Å such as 150, or auto"),
        ("pick a.mrc --diameter 150 --out o --gpu first", "--gpu: 'first' is not a list of GPUs"),
        ("pick a.mrc --diameter 150 --out o --settings no.yaml", "--settings: no.yaml is not a file"),
        ("pick a.mrc --diameter 150 --out file", "--out: file is a file; give a folder"),
        (TRAIN.replace("top-left", "top"), "crisp train: argument --origin: invalid choice: 'top'"),
        (TRAIN.replace("150", "nan"), "'nan' is not a positive number"),
        (TRAIN, "MICROGRAPH: no file matches"),
        ("report nowhere", "nowhere/crisp.yaml: no such file; give the folder --out of crisp pick"),
    ],
)
def test_a_mistake_is_one_line(words, reason, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setattr("crisp_core.cli.main.abort_on_signals", lambda: None)
    assert main(words.split()) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and reason in error
