import pytest

from crisp_core.errors import UserError
from crisp_core.simulation.volume_lists import (
    GROUP_COLUMN,
    excluded_names,
    listed_volumes,
    membrane_names,
    read_volume_table,
    volume_name,
)


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


def test_rows_of_a_table_are_found_in_any_case_and_membranes_are_yes_or_nothing(tmp_path):
    path = tmp_path / "volumes.tsv"
    rows = ["id\tmembrane\t" + GROUP_COLUMN, "5A1A\tyes\tEMPIAR-10017", "1ql2\t\tEMPIAR-10017"]
    path.write_text("\n".join(rows))
    table = read_volume_table(path)
    assert excluded_names(["EMPIAR-10017"], table, ["5a1a", "1ql2", "2def"]) == ["1ql2", "5a1a"]
    assert membrane_names(table, ["5a1a", "1ql2"]) == ["5a1a"]
    path.write_text("\n".join([*rows, "2def\tno\t"]))
    with pytest.raises(UserError, match=r"volumes\.tsv: membrane of 2def is 'no'; give yes or nothing"):
        read_volume_table(path)
