"""Micrographs that an estimate of the diameter looks at."""

import numpy as np
import pytest

from crisp_core.errors import UserError
from crisp_core.formats.mrc import write_mrc
from crisp_core.picking.scales import main, readable


def test_broken_micrographs_are_left_out_and_told(tmp_path, capsys):
    paths = [str(tmp_path / f"{name}.mrc") for name in ("broken", "whole", "empty")]
    image = np.random.default_rng(1).normal(size=(40, 50)).astype(np.float32)
    write_mrc(paths[1], image, pixel_size=2.0, dtype=np.float32)
    for path in paths[::2]:
        with open(path, "wb") as file:
            file.write(b"no header")
    (found,) = readable(paths, None)
    np.testing.assert_array_equal(found.image, image)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0].split(",")[0] for line in lines] == ["left out", "looked at 2 of 3", "left out"]
    assert paths[0] in lines[0] and paths[2] in lines[2]
    with pytest.raises(UserError, match=r"no micrograph can be read; .*empty"):
        list(readable(paths[::2], None))


def test_the_command_reads_patterns(tmp_path):
    (tmp_path / "one.mrc").write_bytes(b"no header")
    with pytest.raises(SystemExit, match=r"error: no micrograph can be read; .*one"):
        main([str(tmp_path / "*.mrc")])
    with pytest.raises(SystemExit, match="error: micrographs: no file matches"):
        main([str(tmp_path / "*.tif")])
