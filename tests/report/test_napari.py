"""Layers for napari, checked by their files."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile

from crisp_core.formats.relion_coordinates import write_coordinates_star
from crisp_core.report.napari import main

ENTRY = {
    "micrograph": "mic0",
    "pixel_size_angstrom": 1.5,
    "shape_px": [40, 60],
    "reviewed": True,
    "verdict": None,
    "kept": [[50.0, 3.0]],
    "added": [[10.0, 20.5]],
    "removed": [[7.0, 7.0]],
    "moved": [[30.0, 30.0, 31.0, 29.0]],
    "junk": [{"radius_px": 2.0, "points": [[5.0, 30.0]]}],
    "unsure": [{"radius_px": 1.0, "points": [[5.0, 30.0]]}],
}
FILE = {"format": "CRISP corrections", "version": 1, "dataset": "d", "experiment": "e", "author": ""}


def test_corrections_become_points_and_labels(tmp_path):
    plain = ENTRY | {"micrograph": "mic1", "junk": [], "unsure": []}
    content = FILE | {"saved": "2026-11-28T20:15:00Z", "micrographs": [ENTRY, plain]}
    (tmp_path / "corrections.json").write_text(json.dumps(content))
    main([str(tmp_path / "corrections.json"), str(tmp_path / "new/layers")])
    files = tmp_path / "new/layers"
    assert sorted(path.name for path in files.iterdir()) == ["mic0.labels.tif", "mic0.points.csv", "mic1.points.csv"]
    # the table that napari's reader takes for a points layer: y before x
    table = pd.read_csv(files / "mic0.points.csv")
    assert list(table) == ["index", "axis-0", "axis-1"] and table["index"].tolist() == [0, 1, 2]
    assert table[["axis-0", "axis-1"]].to_numpy().tolist() == [[3.0, 50.0], [20.5, 10.0], [29.0, 31.0]]
    labels = tifffile.imread(files / "mic0.labels.tif")
    # discs of radius 2 and, over it, 1
    y, x = np.mgrid[:40, :60]
    distance = np.hypot(x - 5, y - 30)
    np.testing.assert_array_equal(labels, np.where(distance <= 1, 2, np.where(distance <= 2, 1, 0)))
    assert labels.dtype == np.uint8


def test_edited_layers_are_not_overwritten_and_no_old_area_stays(tmp_path):
    corrections, layers = tmp_path / "corrections.json", tmp_path / "layers"
    plain = ENTRY | {"junk": [], "unsure": []}
    for entry in (ENTRY, ENTRY, plain):
        content = FILE | {"saved": "2026-11-28T20:15:00Z", "micrographs": [entry]}
        corrections.write_text(json.dumps(content))
        if entry is plain:
            with pytest.raises(SystemExit, match=r"mic0\.labels\.tif: is there already and would be lost or wrong"):
                main([str(corrections), str(layers)])
        else:
            # equal files are in nobody's way
            main([str(corrections), str(layers)])
    (layers / "mic0.labels.tif").unlink()
    (layers / "mic0.points.csv").write_text("index,axis-0,axis-1\n0,1,1\n")
    with pytest.raises(SystemExit, match=r"mic0\.points\.csv: is there already"):
        main([str(corrections), str(layers)])
    assert (layers / "mic0.points.csv").read_text().endswith("0,1,1\n")


def test_picks_become_points_of_each_micrograph(tmp_path):
    picks = pd.DataFrame({"micrograph": ["b", "a", "b"], "x": [1.0, 2.0, 3.0], "y": [4.0, 5.0, 6.0], "score": 0.5})
    write_coordinates_star(tmp_path / "0000.star", picks)
    main([str(tmp_path / "0000.star"), str(tmp_path)])
    assert (tmp_path / "b.picks.csv").read_text() == "index,axis-0,axis-1\n0,4.0,1.0\n1,6.0,3.0\n"
    assert (tmp_path / "a.picks.csv").read_text() == "index,axis-0,axis-1\n0,5.0,2.0\n"


def test_another_file_is_refused_with_one_line(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(SystemExit, match="is not a file of corrections"):
        main([str(tmp_path / "a.json"), str(tmp_path / "layers")])
    assert not (tmp_path / "layers").exists()


def test_no_file_is_written_outside_of_the_folder(tmp_path):
    content = FILE | {"saved": "2026-11-28T20:15:00Z", "micrographs": [ENTRY | {"micrograph": "../mic0"}]}
    (tmp_path / "corrections.json").write_text(json.dumps(content))
    with pytest.raises(SystemExit, match="is not the name of a micrograph"):
        main([str(tmp_path / "corrections.json"), str(tmp_path / "layers")])
    assert not list(tmp_path.glob("*mic0*"))
    content["micrographs"] = [ENTRY]
    (tmp_path / "corrections.json").write_text(json.dumps(content))
    with pytest.raises(SystemExit, match="cannot be written"):
        main([str(tmp_path / "corrections.json"), str(tmp_path / "corrections.json/layers")])
