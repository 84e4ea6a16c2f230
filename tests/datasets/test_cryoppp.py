"""Folders of CryoPPP; tests/settings/test_public_data.py has the downloads and the config."""

import numpy as np
import pytest
from PIL import Image

from crisp_core.datasets.cryoppp import COORDINATES, cryoppp_entry, stated_optics
from crisp_core.errors import UserError
from crisp_core.formats.coordinates.origin import check_origin, origin_contrast
from crisp_core.formats.coordinates.placing import to_top_left
from crisp_core.formats.coordinates.registry import read_coordinates
from tests.public_server import STAR


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "10017" / COORDINATES).mkdir(parents=True)
    (tmp_path / "10017/micrographs").mkdir()
    return tmp_path / "10017"


def write_star(folder, text):
    (folder / "ground_truth/empiar-10017_particles_selected.star").write_text(text)


def test_optics_are_read_from_the_block_before_the_particles(folder):
    assert stated_optics(folder, "10017") == {}
    write_star(folder, STAR)
    assert stated_optics(folder, "10017") == {
        "pixel_size": 1.77,
        "voltage_kv": 300,
        "spherical_aberration_mm": 2.7,
        "amplitude_contrast": 0.1,
    }


def test_a_value_in_which_the_optics_groups_differ_is_not_known(folder):
    row = "300.000000 1.770000 2.700000 0.100000 1 200 2\n"
    write_star(folder, STAR.replace(row, row + row.replace("2.700000", "0.010000").replace(" 1 200", " 2 200")))
    assert stated_optics(folder, "10017").keys() == {"pixel_size", "voltage_kv", "amplitude_contrast"}
    # quoted rows, as in the file of 10077, state nothing
    write_star(folder, STAR.replace(row, '"300.0 1.77 2.7 0.1 1 200 2"\n').replace("data_optics", "data_other"))
    assert stated_optics(folder, "10017") == {}


def test_a_diameter_is_that_of_the_first_table_with_a_particle(folder):
    write_star(folder, STAR)
    for name, lines in {"a": "", "b": "1,2,100\n"}.items():
        (folder / "micrographs" / f"{name}.jpg").touch()
        (folder / COORDINATES / f"{name}.csv").write_text(f"X-Coordinate,Y-Coordinate,Diameter\n{lines}")
    assert cryoppp_entry(folder, place="x")["particle_diameter_angstrom"] == 177
    with pytest.raises(UserError, match=r"10017/micrographs: has 2 of 3 wanted micrographs with coordinates; download"):
        cryoppp_entry(folder, place="x", count=3)


@pytest.mark.real
@pytest.mark.parametrize(("suffix", "origin"), [(".jpg", "top-left"), (".mrc", "bottom-left")])
def test_the_origin_of_pictures_and_of_mrc_files_fits_real_micrographs(shared_data, folder, suffix, origin):
    """EMPIAR-10017: the MRC file has the rows of CryoPPP's JPG in reverse order, and the same table of coordinates."""
    stem = "Falcon_2012_06_12-14_33_35_0"
    real = shared_data / "empiar-10017"
    with Image.open(real / f"micrographs/{stem}.jpg") as picture:
        picture.draft("L", (512, 512))
        image = np.asarray(picture, dtype=np.float32)
    write_star(folder, STAR)
    (folder / COORDINATES / f"{stem}.csv").symlink_to(real / f"coordinates/{stem}.csv")
    path = folder / "micrographs" / f"{stem}{suffix}"
    if suffix == ".mrc":
        image = image[::-1]
        path.touch()
    else:
        path.symlink_to(real / f"micrographs/{stem}.jpg")
    entry = cryoppp_entry(folder, place="x")
    assert entry["micrographs"] == [str(path)] and entry["coordinates"]["origin"] == origin
    table = read_coordinates(entry["coordinates"]["files"][0], format="cryoppp")
    contrasts = {
        y: origin_contrast(
            image, to_top_left(table, {stem: 4096}, origin=y)[["x", "y"]].to_numpy() / 8, radius_px=54 / 8
        )
        for y in ("top-left", "bottom-left")
    }
    right = contrasts.pop(origin)
    (wrong,) = contrasts.values()
    check_origin(right, wrong, source=path)
    with pytest.raises(UserError, match="upside down"):
        check_origin(wrong, right, source=path)
