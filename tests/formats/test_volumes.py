import bz2
import gzip

import mrcfile
import numpy as np
import pytest

from crisp_core.errors import UserError
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.volumes import read_particle_map, read_volume
from tests.densities import ball
from tests.formats.images import mrc_by_the_library, patched, ramp


@pytest.mark.parametrize(("suffix", "opener"), [("", open), (".gz", gzip.open), (".bz2", bz2.open)])
def test_volume_reads_plain_and_compressed(tmp_path, suffix, opener):
    plain = mrc_by_the_library(tmp_path / "v.mrc", ramp((4, 4, 4)), pixel_size=2.5).read_bytes()
    path = tmp_path / f"v.map{suffix}"
    with opener(path, "wb") as file:
        file.write(plain)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.density, ramp((4, 4, 4)))
    assert volume.pixel_size == 2.5
    with opener(path, "wb") as file:
        file.write(plain[:-7])
    with pytest.raises(UserError, match=f"truncated, its header states {len(plain)} bytes and it has"):
        read_volume(path)


def test_volume_axes_are_put_into_order(tmp_path):
    data = ramp((4, 4, 4))
    path = mrc_by_the_library(tmp_path / "v.map", data)
    patched(path, w17=3, w18=1, w19=2)  # columns run along z, rows along x, sections along y
    expected = np.einsum("yxz->zyx", data)
    np.testing.assert_array_equal(read_volume(path).density, expected)


def test_bad_volumes_are_refused(tmp_path):
    oblong = mrc_by_the_library(tmp_path / "oblong.mrc", ramp((4, 4, 6)))
    assert read_volume(oblong).density.shape == (4, 4, 6)
    with pytest.raises(UserError, match=r"image\.mrc: holds an image, not a density map"):
        read_volume(mrc_by_the_library(tmp_path / "image.mrc", ramp((4, 6))))
    unknown = mrc_by_the_library(tmp_path / "unknown.mrc", ramp((4, 4, 4)), pixel_size=0.0)
    with pytest.raises(UserError, match=r"unknown\.mrc: the map does not state its pixel size; write it into"):
        read_volume(unknown)
    assert read_volume(unknown, pixel_size=5.0).pixel_size == 5.0
    (tmp_path / "broken.map.gz").write_bytes(gzip.compress(oblong.read_bytes())[:60])
    with pytest.raises(UserError, match=r"broken.map.gz: broken archive"):
        read_volume(tmp_path / "broken.map.gz")


@pytest.mark.real
def test_genuine_maps_read(shared_data):
    plain = read_volume(shared_data / "maps/mrcfile_EMD-3197.map")
    assert plain.density.shape == (20, 20, 20) and plain.pixel_size == 11.4
    for name in ("mrcfile_emd_3197.map.gz", "mrcfile_EMD-3197.map.bz2"):
        np.testing.assert_array_equal(read_volume(shared_data / "maps" / name).density, plain.density)
    np.testing.assert_array_equal(plain.density, mrcfile.read(shared_data / "maps/mrcfile_EMD-3197.map"))
    assert read_volume(shared_data / "maps/banjac_5j0n.mrc").density.shape == (69, 57, 75)
    with pytest.raises(UserError, match="does not state its pixel size"):
        read_volume(shared_data / "maps/aspire_clean70SRibosome_vol_65p.mrc")


def test_a_map_in_which_protein_is_negative_is_refused(tmp_path):
    noise = np.random.default_rng(1).normal(size=(24, 24, 24)) * 0.05
    for sign, name in ((1, "right"), (-1, "inverted")):
        write_mrc(tmp_path / f"{name}.mrc", sign * ball(24, 6) + noise, pixel_size=3.0, dtype=np.float32)
    assert read_particle_map(tmp_path / "right.mrc").pixel_size == 3.0
    with pytest.raises(UserError, match=r"inverted\.mrc: its density is mostly negative \(-1.* multiply the map by -1"):
        read_particle_map(tmp_path / "inverted.mrc")
    # noise alone is no sign of it, and the values of a mask are not judged
    write_mrc(tmp_path / "noise.mrc", noise, pixel_size=3.0, dtype=np.float32)
    read_particle_map(tmp_path / "noise.mrc")
    assert read_volume(tmp_path / "inverted.mrc").density.min() < 0


@pytest.mark.real
def test_no_genuine_map_counts_as_inverted(shared_data):
    paths = sorted((shared_data / "models/maps").glob("*.mrc.gz"))
    assert len(paths) > 20 and all(read_particle_map(path).density.max() > 0 for path in paths)
