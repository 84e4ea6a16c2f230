import pytest

from crisp_core.errors import UserError
from crisp_core.simulation.volume_lists import listed_volumes, volume_name


def test_names_of_files_and_entries(tmp_path):
    for file in ("1abc.cif.gz", "2def.pdb", "map_5A.mrc.gz"):
        (tmp_path / file).touch()
    found = listed_volumes([f"{tmp_path}/*.cif.gz", f"{tmp_path}/*.pdb", "pdb:5A1A", f"{tmp_path}/map*"], ["2def"])
    assert list(found) == ["1abc", "5a1a", "map_5A"]
    assert volume_name("EMD-2984") == "emd-2984"


@pytest.mark.parametrize(
    ("patterns", "exclude", "words"),
    [
        ("*.cif", (), "no volume is left"),
        ("a.cif", ("b",), "no volume is called b"),
        (["a.cif", "x/a.pdb"], (), "one name"),
    ],
)
def test_lists_that_cannot_be_meant_are_refused(patterns, exclude, words):
    with pytest.raises(UserError, match=words):
        listed_volumes(patterns, exclude)
