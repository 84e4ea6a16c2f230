import numpy as np
import pytest

from crisp_core.labels.outlines import equivalent_radius_px
from crisp_core.labels.posed import radius_without_pose, read_matched_names


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
