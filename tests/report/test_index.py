from crisp_core.report.index import render_index


def test_the_index_has_a_link_and_scores_for_every_run_and_loads_nothing(tmp_path):
    counts = {"n_micrographs": 12, "n_picks": 340, "n_particles": 330, "n_quarantined": 1}
    scores = {"part": "test", "picks": {"f1": 0.9, "precision": 0.8, "recall": 1.0}, "pixels": {"iou": 0.7}}
    entries = [
        {"name": "a/unet", "picks_with": "network, nms", "made": "1 June", "summary": counts | scores},
        {"name": "b/<i>", "picks_with": "topaz", "made": "2 June", "summary": counts | {"part": None}},
    ]
    (tmp_path / "table.tsv").write_text("entry\tf1\none\t0.25\n")
    page = render_index(entries, [str(tmp_path / "table.tsv")])
    assert 'href="a/unet/report.html"' in page and "0.900" in page and "0.700" in page and "0.25" in page
    assert "b/&lt;i&gt;" in page and "no coordinates" in page
    assert "http" not in page and "src=" not in page
    assert "Made on 20" in page and "before the present picks" not in page
    assert "Tables and comparisons" not in render_index(entries, [])
