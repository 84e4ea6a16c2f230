"""Micrographs that an estimate of the diameter looks at."""

import numpy as np
import pytest

from crisp_core.errors import UserError
from crisp_core.formats.images import Micrograph
from crisp_core.formats.mrc import write_mrc
from crisp_core.picking.diameter import check_size
from crisp_core.picking.scales import estimate_diameter, main, readable


def test_broken_micrographs_are_left_out_and_told(tmp_path, capsys):
    paths = [str(tmp_path / f"{name}.mrc") for name in ("broken", "whole", "empty")]
    image = np.random.default_rng(1).normal(size=(40, 50)).astype(np.float32)
    write_mrc(paths[1], image, pixel_size=2.0, dtype=np.float32)
    for path in paths[::2]:
        with open(path, "wb") as file:
            file.write(b"no header")
    ((path, found),) = readable(paths, None)
    assert path == paths[1]
    np.testing.assert_array_equal(found.image, image)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0].split(",")[0] for line in lines] == ["left out", "read 2 of 3", "left out"]
    assert paths[0] in lines[0] and paths[2] in lines[2]
    with pytest.raises(UserError, match=r"no micrograph can be read; .*empty"):
        list(readable(paths[::2], None))


def test_the_command_reads_patterns(tmp_path):
    (tmp_path / "one.mrc").write_bytes(b"no header")
    with pytest.raises(SystemExit, match=r"error: no micrograph can be read; .*one"):
        main([str(tmp_path / "*.mrc")])
    with pytest.raises(SystemExit, match="error: micrographs: no file matches"):
        main([str(tmp_path / "*.tif")])


def test_a_place_that_cannot_be_written_is_told_before_the_estimate(tmp_path):
    micrograph, taken = str(tmp_path / "a.mrc"), tmp_path / "taken"
    write_mrc(micrograph, np.random.default_rng(1).normal(size=(40, 50)), pixel_size=2.0, dtype=np.float32)
    taken.write_text("a file, not a folder")
    with pytest.raises(SystemExit, match=r"error: .*taken/d\.yaml: cannot be written \(Not a directory|File exists"):
        main([micrograph, "--output", str(taken / "d.yaml")])
    with pytest.raises(SystemExit, match="auto is not clear"):
        main([micrograph, "--output", str(tmp_path / "new/d.yaml")])
    assert list((tmp_path / "new").iterdir()) == []


def test_a_header_of_1_angstrom_is_no_pixel_size(tmp_path):
    path = str(tmp_path / "a.mrc")
    write_mrc(path, np.random.default_rng(1).normal(size=(40, 50)), pixel_size=1.0, dtype=np.float32)
    with pytest.raises(UserError, match=r"a\.mrc: its header does not state the pixel size; give it with --pixel-size"):
        list(readable([path], None))
    assert len(list(readable([path], 1.0))) == 1


def test_a_micrograph_that_cannot_be_prepared_is_left_out(caplog):
    # signal at the edge alone, where no assumed diameter looks
    dead = np.zeros((600, 600), np.float32)
    dead[:5] = np.random.default_rng(1).normal(size=(5, 600))
    with pytest.raises(UserError, match=r"no micrograph can be used; dead\.mrc: .*same value"):
        estimate_diameter([("dead.mrc", Micrograph(dead, 4.0))], diameters_angstrom=[100, 125, 156])
    alive = np.random.default_rng(2).normal(size=(600, 600)).astype(np.float32)
    caplog.clear()
    with pytest.raises(UserError, match="auto is not clear"):
        both = [("dead.mrc", Micrograph(dead, 4.0)), ("noise.mrc", Micrograph(alive, 4.0))]
        estimate_diameter(both, diameters_angstrom=[100, 125, 156])
    assert [message.partition(": ")[2].partition(":")[0] for message in caplog.messages] == ["dead.mrc"]


def test_too_few_whole_particles_are_the_reason():
    with pytest.raises(UserError, match="auto is not clear, fewer than 20 particles at 120 Å are whole;"):
        check_size(np.nan, 120)
