import numpy as np
import pandas as pd
import pytest

from crisp_core.errors import UserError
from crisp_core.labels.outlines import LABELLED_BY_DISC, WITHOUT_COORDINATE, equivalent_radius_px
from crisp_core.labels.posed import at_origins, check_matched, radius_without_pose, read_matched_names


@pytest.mark.parametrize(("kind", "given", "expected"), [("skip", 50.0, None), ("disc", 50.0, 50.0)])
def test_a_disc_without_orientation_has_the_given_radius(kind, given, expected):
    options = {"without_orientation": kind, "radius_angstrom": given, "pixel_size": 2.0, "threshold": "li"}
    assert radius_without_pose(np.zeros((4, 4, 4)), **options) == expected


def test_a_disc_without_a_radius_has_the_area_of_the_mean_outline():
    z, y, x = np.mgrid[-16:16, -16:16, -16:16]
    ball = (x**2 + y**2 + z**2 < 64).astype(np.float32)
    options = {"without_orientation": "disc", "radius_angstrom": None, "pixel_size": 3.0, "threshold": "li"}
    assert radius_without_pose(ball, **options) == 3 * equivalent_radius_px(ball, threshold="li")


def test_names_are_those_with_coordinates_once(tmp_path):
    (tmp_path / "a.tsv").write_text("name\tmicrograph\nx\t001\ny\t\n")
    (tmp_path / "b.tsv").write_text("name\tmicrograph\nz\t001\n")
    assert read_matched_names([str(tmp_path / name) for name in ("a.tsv", "b.tsv")]) == ["001"]


def test_positions_at_origins_are_those_minus_the_shift_in_pixels():
    origins = {"origin_x_angstrom": [3.0, -2.0], "origin_y_angstrom": [6.0, 0.0]}
    poses = pd.DataFrame({"micrograph": ["a", "b"], "x": [10.0, 20.0], "y": [30.0, 40.0], **origins})
    moved = at_origins(poses, {"a": 1.5, "b": 2.0})
    assert moved[["x", "y"]].to_numpy().tolist() == [[8, 26], [21, 40]]
    assert not moved[list(origins)].to_numpy().any()


@pytest.mark.parametrize(("n_matched", "n_poses", "refused"), [(9, 20, True), (10, 20, False), (0, 9, False)])
def test_orientations_that_lie_elsewhere_are_refused(caplog, n_matched, n_poses, refused):
    kinds = [WITHOUT_COORDINATE] * (n_poses - n_matched) + [LABELLED_BY_DISC] * (30 - n_matched)
    given = (pd.DataFrame({"what": kinds}), pd.Series(["a"] * 30), pd.Series(["a"] * n_poses))
    files = {"path": "run_data.star", "table": "labels/0000.tsv"}
    if refused:
        with pytest.raises(UserError, match=r"run_data\.star: only 9 of 20 orientations lie at a coordinate"):
            check_matched(*given, **files)
    else:
        check_matched(*given, **files)
        assert f"{LABELLED_BY_DISC}: {30 - n_matched}, see labels/0000.tsv" in caplog.text


def test_only_micrographs_with_both_tables_say_whether_orientations_fit():
    unmatched = pd.DataFrame({"what": [WITHOUT_COORDINATE] * 48 + [LABELLED_BY_DISC] * 50})
    particles, poses = pd.Series(["a"] * 12 + ["b"] * 50), pd.Series(["a"] * 60)
    check_matched(unmatched, particles, poses, path="run_data.star", table="labels/0000.tsv")
