import os

import numpy as np
import pytest

from crisp_core.datasets.byproducts import find_byproducts
from crisp_core.datasets.empiar import selected_names
from crisp_core.formats.mrc import mrc_shape, write_mrc

# (what a program writes beside a micrograph, what is to be picked of it)
TWINS = {
    "MotionCor2": (["m.mrc", "m_DW.mrc", "m_DWS.mrc"], ["m_DW.mrc"]),
    "MotionCor2, halves": (["m.mrc", "m_EVN.mrc", "m_ODD.mrc"], ["m.mrc"]),
    "RELION": (["m.mrc", "m_noDW.mrc", "m_EVN.mrc", "m_ODD.mrc"], ["m.mrc"]),
    "halves alone": (["m_EVN.mrc", "m_ODD.mrc"], ["m_EVN.mrc"]),
    "weighted halves": (["m_DW.mrc", "m_EVN_DW.mrc", "m_ODD_DW.mrc"], ["m_DW.mrc"]),
    "cryoSPARC": (["m_patch_aligned.mrc", "m_patch_aligned_doseweighted.mrc"], ["m_patch_aligned_doseweighted.mrc"]),
    "movie's name": (["m_fractions.tif.mrc", "m_fractions_noDW.mrc"], ["m_fractions.tif.mrc"]),
    "in words": (["m_non_dose_weighted.mrc", "m_dose_weighted.mrc", "m_no_DW.mrc"], ["m_dose_weighted.mrc"]),
    "denoised": (["m.mrc", "m_denoised.mrc"], ["m.mrc"]),
}


def write(folder, name, shape=(40, 60)):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    write_mrc(folder / name, image, pixel_size=1.0, dtype="float32")
    return str(folder / name)


@pytest.mark.parametrize(("names", "kept"), TWINS.values(), ids=TWINS)
@pytest.mark.parametrize("turned", [False, True])
def test_of_several_versions_of_one_image_the_best_is_picked(names, kept, turned):
    paths = [f"day1/{prefix}{name}" for prefix in ("a_", "b_") for name in names]
    reasons = find_byproducts(paths[::-1] if turned else paths)
    assert [path for path in paths if path not in reasons] == [f"day1/{p}{name}" for p in ("a_", "b_") for name in kept]
    for path, reason in reasons.items():
        prefix = path.removeprefix("day1/")[:2]
        assert f"of the same image as {prefix}{kept[0]}; name its exact path to pick it too" in reason


@pytest.mark.parametrize(
    "names",
    [
        # the only version there is
        ["a_noDW.mrc", "b_noDW.mrc"],
        ["a_EVN.mrc", "b_EVN.mrc"],
        ["a_DW.mrc", "b.mrc"],
        # other words that end alike
        ["a.mrc", "aDW.mrc", "a_eleven.mrc", "a_DWSx.mrc"],
        ["even.mrc", "odd.mrc", "_DW.mrc"],
        # no micrograph beside them
        ["a_PS.mrc", "b_PS.mrc"],
        ["a_ctf.mrc", "b_diag.mrc", "c_thumb.mrc"],
        # a sample of that name
        [f"gain_of_function_{i}.mrc" for i in range(5)],
        ["gain.mrc"],
        ["FoilHole_1_20200101_101010.mrc", "GridSquare_7.mrc"],
        ["again_1.mrc", "darkness.mrc", "defective_3.mrc", "b.mrc"],
    ],
)
def test_what_only_sounds_alike_stays(names):
    assert find_byproducts(names) == {}


@pytest.mark.parametrize(
    "ending", ["_PS.mrc", ".ctf", "_ctf.mrc", "_diag.mrc", "_Ctf.mrc", "_background.mrc", "_thumb.mrc"]
)
def test_derived_images_are_known_by_their_name_and_their_size(tmp_path, ending):
    images = [write(tmp_path, f"{name}.mrc") for name in "ab"]
    # c has lost its micrograph
    derived = [write(tmp_path, f"{name}{ending}", shape=(32, 32)) for name in "abc"]
    assert set(find_byproducts(images + derived)) == set(derived)
    # of the size of a micrograph: a sample called so
    alike = [write(tmp_path, f"{name}{ending}") for name in "abc"]
    assert find_byproducts(images + alike) == {}


def test_derived_images_of_dose_weighted_and_of_unreadable_files(tmp_path):
    (tmp_path / "a_patch_aligned_doseweighted.mrc").write_bytes(b"cut off")
    paths = [
        str(tmp_path / name) for name in ("a_patch_aligned_doseweighted.mrc", "a_background.mrc", "a_thumb_@1x.png")
    ]
    assert set(find_byproducts(paths)) == set(paths[1:])


def test_references_and_overviews_are_few_and_have_names_of_their_own():
    images = [f"FoilHole_{i}_Data_77_20200101_101010_fractions.mrc" for i in range(20)]
    others = ["gain.mrc", "x/CountRef_May08.mrc", "FoilHole_3_20200101_101010.mrc", "GridSquare_7.mrc", "Atlas_1.mrc"]
    reasons = find_byproducts([*images, *others])
    assert list(reasons) == others
    assert "reference image of the camera" in reasons["gain.mrc"]
    assert set(find_byproducts(["mic1.mrc", "20240101_gain-ref.tif"])) == {"20240101_gain-ref.tif"}


def test_a_file_named_by_its_exact_path_stays():
    paths = ["a.mrc", "a_noDW.mrc", "b.mrc", "b_noDW.mrc", "gain.mrc"]
    assert set(find_byproducts(paths, exact=["a_noDW.mrc", "gain.mrc"])) == {"b_noDW.mrc"}
    assert set(find_byproducts(paths, exact=["./a_noDW.mrc", os.path.abspath("gain.mrc")])) == {"b_noDW.mrc"}


def test_a_micrograph_of_an_earlier_call_keeps_its_place():
    # the dose-weighted sum arrives after the other one was used
    assert set(find_byproducts(["a.mrc", "a_DW.mrc", "b.mrc", "b_DW.mrc"], known=["a"])) == {"a_DW.mrc", "b.mrc"}
    # both were used by an earlier version of the program
    assert set(find_byproducts(["a.mrc", "a_DW.mrc"], known=["a", "a_DW"])) == {"a.mrc"}
    # its micrograph arrives later
    assert find_byproducts(["a_PS.mrc", "a.mrc"], known=["a_PS"]) == {}


def test_shape_of_the_header(tmp_path):
    assert mrc_shape(write(tmp_path, "a.mrc", shape=(7, 9))) == (7, 9)


def test_links_to_one_file_are_one_micrograph(tmp_path):
    file, other = write(tmp_path, "m.mrc"), write(tmp_path, "n.mrc")
    soft, hard, dead = (str(tmp_path / name) for name in ("a_link.mrc", "z_hard.mrc", "dead.mrc"))
    os.symlink("m.mrc", soft)
    os.link(other, hard)
    os.symlink("nowhere", dead)
    paths = [soft, dead, file, other, hard]
    assert find_byproducts(paths) == {
        soft: f"link to the same file as {file}; name its exact path to pick it too",
        hard: f"link to the same file as {other}; name its exact path to pick it too",
    }
    assert find_byproducts(paths, exact=[soft, hard]) == {}
    # what an earlier call used stays
    assert list(find_byproducts(paths, known=["a_link", "z_hard"])) == [file, other]


def test_downloads_of_empiar_leave_by_products_out_unless_labels_name_them():
    names = ["CountRef_g1.mrc", "m0.mrc", "m0_DW.mrc", "m0_PS.mrc", "m1.mrc", "m1_DW.mrc", "m2.mrc"]
    assert selected_names(names, None, None) == ["m0_DW.mrc", "m1_DW.mrc", "m2.mrc"]
    assert selected_names(names, 2, None) == ["m0_DW.mrc", "m1_DW.mrc"]
    assert selected_names(names, None, {"m0", "m2"}) == ["m0.mrc", "m2.mrc"]
