from crisp_core.datasets.quarantine import Refused, read_quarantine, write_quarantine


def test_what_is_written_is_read(tmp_path):
    refused = [Refused("raw/a b.mrc", "prepare", 'a "quoted", tabbed\treason'), Refused("c.csv", "coordinates", "ü")]
    write_quarantine(tmp_path / "q.tsv", refused)
    assert read_quarantine(tmp_path / "q.tsv") == refused


def test_nothing_refused_leaves_a_header(tmp_path):
    write_quarantine(tmp_path / "q.tsv", [])
    assert (tmp_path / "q.tsv").read_text() == "path\tstage\treason\n"
    assert read_quarantine(tmp_path / "q.tsv") == []
