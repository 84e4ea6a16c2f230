"""Text tables: what is written is read back, or refused."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.text_tables import read_rows, read_table, write_table
from crisp_core.formats.text import read_text

SEPARATORS = [",", "\t", " "]
# the marks of tables are as frequent as all other characters together
cells = st.text(
    st.sampled_from(" \t,\"'#-1a\n\r\0\ufeff\u2028\xa0") | st.characters(exclude_categories=["Cs"]), max_size=6
)


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("header", [True, False])
@settings(max_examples=60, deadline=None)
@given(names=st.lists(cells, min_size=1, max_size=3), only=st.booleans())
@example(names=['"-1'], only=True)
@example(names=[" ", "nan"], only=True)
def test_texts_come_back_or_are_refused(directory, separator, header, names, only):
    path = directory / "table.txt"
    columns = {"name": names} if only and not header else {"name": names, "x": 1.5}
    expected = [[name] + ["1.5"] * (len(columns) - 1) for name in names]
    try:
        write_table(path, columns, separator=separator, header=header, n_rows=len(names))
    except UserError as error:
        assert "\n" not in str(error) and "cannot hold the" in str(error) and "; rename it" in str(error)
        assert not all(held(name, separator, columns, header) for name in names)
        return
    assert all(held(name, separator, columns, header) or name.startswith("\ufeff") for name in names)
    lines, reading = read_text(path).splitlines(), None if separator == " " else separator
    back = read_table(path, columns) if header else read_rows(path, lines, reading, list(columns), first=1)
    assert back.to_numpy().tolist() == expected


def held(name, separator, columns, header):
    """Whether a table holds a name, wherever it is in the table."""
    if not name or len(f"{name}.".splitlines()) > 1 or "\0" in name:
        return False
    if name.startswith("\ufeff") and not header:
        return False
    if separator == " ":
        return name.split() == [name]
    # a quoted name makes a line of blanks visible
    return bool(name.strip()) or len(columns) > 1 or separator in name


@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_line_before_the_table(tmp_path, separator):
    path = tmp_path / "m.points"
    write_table(path, {"x": [1, 2], "y": 0.25}, separator=separator, header=False, first_line="# points", n_rows=2)
    assert path.read_text() == f"# points\n1{separator}0.25\n2{separator}0.25\n"


def test_a_name_with_a_blank_needs_another_separator(tmp_path):
    with pytest.raises(UserError, match=r"table.txt: a table cannot hold the name 'a b'; rename it"):
        write_table(tmp_path / "table.txt", {"name": ["a b"], "x": 1.0}, separator=" ", n_rows=1)
