from crisp_core.datasets.quarantine import Refused, read_quarantine, write_quarantine


def test_what_is_written_is_read(tmp_path):
    refused = [Refused("raw/a b.mrc", "prepare", 'a "quoted", tabbed\treason'), Refused("c.csv", "coordinates", "ü")]
    write_quarantine(tmp_path / "q.tsv", refused)
    assert read_quarantine(tmp_path / "q.tsv") == refused


def test_nothing_refused_leaves_a_header(tmp_path):
    write_quarantine(tmp_path / "q.tsv", [])
    assert (tmp_path / "q.tsv").read_text() == "path\tstage\treason\n"
    assert read_quarantine(tmp_path / "q.tsv") == []


def test_several_tables_are_read_in_order(tmp_path):
    one, other = Refused("a.mrc", "prepare", "empty"), Refused("b.mrc", "labels", "empty")
    for name, row in (("1.tsv", one), ("2.tsv", other)):
        write_quarantine(tmp_path / name, [row])
    assert read_quarantine(tmp_path / "2.tsv", tmp_path / "1.tsv") == [other, one]
    assert read_quarantine() == []
