"""What a file or a config from elsewhere cannot do: run code, start a shell, write beside the results."""

import ast
import copy
import gzip
import os
import pickle
import re
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from crisp_core.datasets.quarantine import Refused, check_micrographs, check_picks
from crisp_core.errors import UserError
from crisp_core.formats.coordinates.names import match_names
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.downloads import emdb_map_url, pdb_model_url
from crisp_core.formats.relion_autopick import write_autopick
from crisp_core.formats.star_names import check_name
from crisp_core.formats.stems import micrograph_stem
from crisp_core.segmentation.checkpoints import NetworkFacts, NetworkInput, write_facts
from crisp_core.segmentation.networks import load_network
from crisp_core.segmentation.settings import NetworkSettings
from crisp_core.settings.checks import check_settings
from crisp_core.simulation.volumes import model_density, volume_source

ROOT = Path(__file__).parents[1]
PARTS = ("crisp_core", "workflow_scripts", "benchmarks")
SOURCES = sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py"))
RULES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
# calls that run text or a file's content as code, or start a shell
NEVER = {"os.system", "os.popen", "eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "pd.read_pickle"}
NEVER |= {"pickle.load", "pickle.loads", "pickle.Unpickler", "subprocess.getoutput", "subprocess.getstatusoutput"}
NEVER |= {"joblib.load", "shelve.open", "marshal.loads", "torch.jit.load", "torch.hub.load", "shutil.unpack_archive"}
# calls that are safe with one argument only
ONLY_WITH = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}


def calls(path):
    """Every call of a Python file, with the dotted name of what is called."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_no_call_runs_text_or_files_as_code_or_starts_a_shell():
    seen = set()
    for path in SOURCES:
        for name, node in calls(path):
            given = {word.arg: word.value for word in node.keywords}
            where = f"{path.relative_to(ROOT)}, line {node.lineno}"
            assert name not in NEVER, where
            assert not isinstance(given.get("shell"), ast.Constant) or given["shell"].value is False, where
            if name in ONLY_WITH:
                key, value = ONLY_WITH[name]
                assert isinstance(given.get(key), ast.Constant) and given[key].value is value, where
                seen.add(name)
            if name.startswith("subprocess."):
                # a list of words, or something that is called one; a text would be split or need a shell
                assert not isinstance(node.args[0], ast.Constant | ast.JoinedStr | ast.BinOp), where
                seen.add(name)
    assert {"torch.load", "np.load", "subprocess.Popen", "subprocess.run"} <= seen


def test_rules_have_no_shell_commands():
    forbidden = re.compile(r"^\s*shell:|\bshell\(|os\.system|subprocess|\beval\(|\bexec\(", re.M)
    for path in RULES:
        assert not forbidden.search(path.read_text()), path


SMALL = NetworkSettings(architecture="unet", encoder_weights=None)


class Malicious:
    """An object that writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (Path(self.path),))


@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_a_checkpoint_with_code_in_it_is_refused_unexecuted(tmp_path, save):
    path, touched = tmp_path / "network.pt", tmp_path / "touched"
    save({"format": 1, "network": Malicious(touched)}, path)
    if zipfile.is_zipfile(path):
        write_facts(path, NetworkFacts(["background", "particle"], NetworkInput(25.0, "robust", 0.0), SMALL))
    with pytest.raises(UserError, match=r"network\.pt: not a network written by .*, or damaged; train it again$"):
        load_network(path)
    assert not touched.exists()


def test_a_state_to_resume_from_with_code_in_it_starts_afresh(tmp_path):
    from crisp_core.segmentation.resuming import Resume, _read_state

    path, touched = tmp_path / "last.pt", tmp_path / "touched"
    torch.save({"digest": "d", "network": Malicious(touched)}, path)
    assert _read_state(Resume(path, "d")) is None
    assert not touched.exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".", "/x", "a\n", "a b", "", "ä", "a;b", "$(x)", "{x}"])
@pytest.mark.parametrize("section", ["datasets", "experiments", "tables", "comparisons"])
def test_a_name_in_the_config_is_no_path(section, name):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    new = {"tables": {"rows": ["unet"]}, "comparisons": {"dataset": "embedded", "entries": ["unet"]}}
    entries = config.setdefault(section, {"paper": new.get(section)})
    entries[name] = copy.deepcopy(next(iter(entries.values())))
    with pytest.raises(UserError, match=f"^config, {section}: "):
        check_settings(config)
    config = yaml.safe_load((ROOT / "config.yaml").read_text()) | {"run": [f"embedded/{name}"]}
    with pytest.raises(UserError, match=r"^config, run"):
        check_settings(config)


@given(st.text(alphabet="ab./\\ \n\0", max_size=20))
def test_a_micrographs_name_is_no_path(name):
    stem = micrograph_stem(name)
    assert "/" not in stem and "\\" not in stem
    try:
        check_name("here", stem)
    except UserError:
        return
    folder = Path("results/dataset/images").absolute()
    assert Path(os.path.normpath(folder / stem)).parent == folder


@pytest.mark.parametrize("name", ["../../../evil.mrc", "/etc/evil.mrc", "a/../evil.mrc", "C:\\x\\evil.mrc"])
def test_paths_in_coordinate_files_lead_nowhere(tmp_path, name):
    text = f"data_particles\n\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnMicrographName\n1 2 {name}\n"
    (tmp_path / "p.star").write_text(text)
    table = read_coordinates(tmp_path / "p.star")
    assert table["micrograph"].tolist() == ["evil"]
    with pytest.raises(UserError, match="none of 1 names matches a micrograph"):
        match_names(table["micrograph"].tolist(), ["good"])
    with pytest.raises(UserError, match="micrograph evil: its path is unknown"):
        write_autopick(tmp_path / "autopick.star", tmp_path / "autopick", table, {"good": "results/d/good.mrc"})
    assert {path.name for path in tmp_path.iterdir()} == {"p.star"}


@pytest.mark.parametrize("entry", ["emd-../x", "EMD-2984/../..", "pdb:../1", "pdb:5a1a/..", "5a1a\n"])
def test_an_entry_of_a_data_bank_is_no_path(entry):
    with pytest.raises(UserError, match="is not a known form"):
        volume_source(entry)
    for url in (emdb_map_url("EMD-2984", "https://bank/"), pdb_model_url("5a1a", "https://bank")):
        assert "/" not in url.rsplit("/", 1)[-1] and ".." not in url


def test_a_packed_model_that_unpacks_without_end_is_refused(tmp_path):
    path = tmp_path / "bomb.cif.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(2**9 + 1):
            file.write(bytes(2**20))
    with pytest.raises(UserError, match=r"bomb\.cif\.gz: decompresses to more than 537 MB, more than any model"):
        model_density(path, pixel_size=4.0, resolution_angstrom=10)


GIVEN = {"a": "raw/a.mrc", "b": "raw/b.mrc", "c": "raw/c.mrc"}
REFUSED = [Refused("raw/c.mrc", "prepare", "empty")]


def test_no_micrograph_is_lost():
    check_micrographs(GIVEN, ["a", "b"], REFUSED, source="results/d")
    check_micrographs({"s1": "s.h5", "s2": "s.h5"}, ["s1"], [Refused("s.h5", "prepare", "x")], source="results/d")
    with pytest.raises(UserError, match=r"^results/d: 3 micrographs are not 1 used \+ 1 quarantined, see raw/b\.mrc; "):
        check_micrographs(GIVEN, ["a"], REFUSED, source="results/d")
    with pytest.raises(UserError, match=r"are not 3 used \+ 1 quarantined, see raw/c\.mrc; "):
        check_micrographs(GIVEN, ["a", "b", "c"], REFUSED, source="results/d")
    with pytest.raises(
        UserError, match=r"^results/d: none of 1 micrographs can be used; correct them, the first: empty$"
    ):
        check_micrographs({"c": "raw/c.mrc"}, [], REFUSED, source="results/d")


def test_no_pick_is_lost():
    check_picks(["a", "a", "b"], ["a", "b"], ["a"], source="results/d/e")
    for particles, dropped in ((["a", "b"], []), (["a", "b"], ["b"]), (["a", "a", "b"], ["b"])):
        with pytest.raises(UserError, match=r"^results/d/e: 3 picks are not \d particles \+ \d dropped, see [ab]; "):
            check_picks(["a", "a", "b"], particles, dropped, source="results/d/e")


def test_refused_names_that_pandas_takes_for_nothing_come_back(tmp_path):
    from crisp_core.datasets.quarantine import read_quarantine, write_quarantine

    write_quarantine(tmp_path / "q.tsv", [Refused("NA", "prepare", "null")])
    assert read_quarantine(tmp_path / "q.tsv") == [Refused("NA", "prepare", "null")]
    assert list(pd.read_csv(tmp_path / "q.tsv", sep="\t")) == ["path", "stage", "reason"]
