import mrcfile
import numpy as np
import pytest

from crisp_core.particles.stacks import write_stack
from tests.particles.noise_image import noise


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_stack_comes_back_and_its_header_is_valid(tmp_path, dtype):
    stack = noise((7, 10, 10)).astype(dtype)
    path = tmp_path / "p.mrcs"
    chunks = (stack[a:b] for a, b in ((0, 3), (3, 3), (3, 7)))
    assert write_stack(path, chunks, size_px=10, pixel_size=3.54, dtype=dtype) == 7
    assert mrcfile.validate(path)
    with mrcfile.open(path) as mrc:
        np.testing.assert_array_equal(mrc.data, stack)
        assert mrc.is_image_stack() and mrc.data.dtype == dtype
        assert mrc.voxel_size.x == pytest.approx(3.54, rel=1e-6)
        assert float(mrc.header.rms) == pytest.approx(stack.astype(float).std(), rel=1e-5)
    again = tmp_path / "again.mrcs"
    write_stack(again, [stack], size_px=10, pixel_size=3.54, dtype=dtype)
    assert again.read_bytes() == path.read_bytes()


def test_empty_stack_has_a_readable_header(tmp_path):
    assert write_stack(tmp_path / "p.mrcs", [], size_px=10, pixel_size=1.0) == 0
    with mrcfile.open(tmp_path / "p.mrcs", header_only=True) as mrc:
        assert (mrc.header.nx, mrc.header.ny, mrc.header.nz) == (10, 10, 0)


def test_image_of_another_size_is_a_programming_error(tmp_path):
    with pytest.raises(ValueError, match="do not fit a stack of 10²"):
        write_stack(tmp_path / "p.mrcs", [noise((2, 8, 8))], size_px=10, pixel_size=1.0)


def test_values_beyond_half_precision_become_its_ends(tmp_path):
    images = noise((2, 8, 8)).astype(np.float32)
    images[0, 1, 2], images[1, 3, 4] = 2e5, -2e5
    write_stack(tmp_path / "s.mrcs", [images], size_px=8, pixel_size=1, dtype=np.float16)
    with mrcfile.open(tmp_path / "s.mrcs") as stack:
        assert np.isfinite(stack.data).all() and np.isfinite(float(stack.header.rms))
        assert (float(stack.data[0, 1, 2]), float(stack.data[1, 3, 4])) == (65504, -65504)
        assert (float(stack.header.dmin), float(stack.header.dmax)) == (-65504, 65504)
