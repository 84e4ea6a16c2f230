"""Tables of the workflow, and names that look like numbers."""

import pandas as pd
import pytest

from crisp_core.formats.tables import read_table, write_table

TABLE = pd.DataFrame(
    {
        "micrograph": ["0007", "1e5", "007.0"],
        "path": ["1", "2", "3"],
        "n_picks": [1, 20, 3],
        "score": [0.123456789, float("nan"), 1234567.0],
    }
)


def test_names_come_back_as_they_were(tmp_path):
    write_table(TABLE, tmp_path / "table.tsv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.tsv"), TABLE, check_dtype=False)


def test_numbers_have_so_many_digits(tmp_path):
    write_table(TABLE, tmp_path / "table.tsv", digits=4)
    assert read_table(tmp_path / "table.tsv")["score"].tolist()[::2] == [0.1235, 1235000.0]
    assert read_table(tmp_path / "table.tsv")["n_picks"].tolist() == [1, 20, 3]


def test_a_text_of_another_column_is_asked_for(tmp_path):
    write_table(pd.DataFrame({"empiar": ["010017"]}), tmp_path / "table.tsv")
    assert read_table(tmp_path / "table.tsv", dtype={"empiar": str})["empiar"].item() == "010017"


@pytest.mark.parametrize("name", ["micrograph", "excluded", "set"])
def test_an_empty_text_is_missing_unless_the_reader_wants_it(tmp_path, name):
    (tmp_path / "table.tsv").write_text(f"{name}\tn\n\t1\n")
    assert read_table(tmp_path / "table.tsv")[name].isna().all()
    assert read_table(tmp_path / "table.tsv", keep_default_na=False)[name].tolist() == [""]
