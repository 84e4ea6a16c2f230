import re

import pytest

from crisp_core.errors import UserError
from tests.formats.coordinates.tables import read, star_row


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.box", "10 20 64 64 -1\n90 80 64 64 -2\n", "its fifth column is −1 and −2, the two ends of a helix"),
        ("m.box", "10 20 64 64 -1.0\n90 80 64 64 -2.0\n10 20 64 64 -1\n", "the two ends of a helix"),
        (
            "m.star",
            star_row(rlnCoordinateX=1, rlnCoordinateY=2, rlnHelicalTubeID=1),
            "rlnHelicalTubeID, so .* filaments",
        ),
        ("m.star", star_row(rlnCoordinateX=1, rlnCoordinateY=2, rlnCoordinateZ=3), "rlnCoordinateZ, so .* tomograms"),
        ("m.star", star_row(rlnCoordinateX=1, rlnCoordinateY=2, rlnTomoName="t1"), "rlnTomoName, so .* tomograms"),
        (
            "m.star",
            star_row(rlnCenteredCoordinateXAngst=1, rlnCenteredCoordinateZAngst=2),
            "so its rows belong to tomo",
        ),
        ("m.csv", "x,y,z\n1,2,3\n", "has the column z, so its coordinates are those of a tomogram"),
        ("m.txt", "image_name\tx_coord\ty_coord\tz_coord\nm\t1\t2\t3\n", "has the column z_coord"),
        ("m.json", '{"boxes_3d": [[1, 2, 3, "manual", 0.5, 0]]}', 'its boxes are "boxes_3d", those of a tomogram'),
    ],
)
def test_rows_that_are_no_single_particles_are_refused(tmp_path, name, content, message):
    with pytest.raises(UserError, match=rf"{re.escape(name)}: .*{message}") as caught:
        read(tmp_path / name, content)
    assert "give coordinates of single particles" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        # a score that happens to be −1, EMAN's mark of a box of no helix, and columns that say nothing
        ("m.box", "10 20 64 64 -1\n90 80 64 64 0.5\n"),
        ("m.box", "10 20 64 64 -3\n90 80 64 64 -3\n"),
        ("m.star", star_row(rlnCoordinateX=1, rlnCoordinateY=2, rlnCoordinateZ=0, rlnHelicalTubeID=0)),
        ("m.csv", "x,y,z\n1,2,0\n1,2,\n"),
    ],
)
def test_single_particles_pass(tmp_path, name, content):
    assert len(read(tmp_path / name, content)) > 0
