import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_core.ctf import ctf as transfer_function
from crisp_core.datasets.importing_ctf import import_ctf, without_ctf
from crisp_core.errors import UserError
from crisp_core.formats.star import write_blocks

FILES = {name: f"raw/{name}.mrc" for name in "abc"}
MICROSCOPE = {"pixel_size": 1.5, "voltage_kv": 300.0, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1}
UID = "004512345678901234567_"


def ctf_file(path, groups, **more):
    """`groups` says of each micrograph its optics group; its defocus is 1000 × its place."""
    numbers = sorted(set(groups.values()))
    optics = pd.DataFrame({"rlnOpticsGroup": numbers, "rlnOpticsGroupName": [f"g{n}" for n in numbers], **more})
    table = pd.DataFrame(
        {"rlnMicrographName": [f"job/{name}.mrc" for name in groups], "rlnOpticsGroup": groups.values()}
    )
    defocus = 1000.0 * np.arange(1, len(groups) + 1)
    lens = {"rlnDefocusU": defocus, "rlnDefocusV": defocus - 1, "rlnDefocusAngle": 12.0}
    write_blocks(path, {"optics": optics, "micrographs": table.assign(**lens)})
    return str(path)


def test_the_ctf_of_micrographs_by_name_and_those_without(tmp_path):
    path = ctf_file(tmp_path / "ctf.star", {"strange": 1, f"{UID}c": 7, "a": 3})
    ctf, refused, notices = import_ctf(path, FILES, **MICROSCOPE)
    assert refused == {} and notices == []
    columns = ["micrograph", "defocus_u_angstrom", "optics_group"]
    assert ctf.micrographs[columns].to_numpy().tolist() == [["a", 3e3, 2], ["c", 2e3, 3]]
    assert ctf.groups.to_dict("list") == {
        "rlnOpticsGroupName": ["g1", "g3", "g7"],
        "rlnOpticsGroup": [1, 2, 3],
        "rlnVoltage": [300] * 3,
        "rlnSphericalAberration": [2.7] * 3,
        "rlnAmplitudeContrast": [0.1] * 3,
    }
    refused = without_ctf(FILES, ctf, {}, source=path)
    reason = f"{path}: has no line for it, so its picks give no particle images; estimate its CTF, or leave it out"
    assert refused == [("raw/b.mrc", "ctf", reason)]


def test_the_microscope_of_the_file_goes_first(tmp_path):
    path = ctf_file(tmp_path / "ctf.star", {"a": 1, "b": 2}, rlnVoltage=[200.0, 120.0])
    groups = import_ctf(path, FILES, **MICROSCOPE).ctf.groups
    assert groups["rlnVoltage"].tolist() == [200, 120] and groups["rlnAmplitudeContrast"].tolist() == [0.1, 0.1]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["x", "y"], r"ctf\.star: none of 2 names matches a micrograph: 'x' …, while micrographs are called 'a' …"),
        ([], r"ctf\.star: has no line for any micrograph; give the star file of RELION's CTF job"),
        (["a", f"{UID}a"], rf"ctf\.star: a and {UID}a both match micrograph a; remove one line"),
    ],
)
def test_a_ctf_file_that_cannot_be_meant_is_refused(tmp_path, names, message):
    with pytest.raises(UserError, match=message):
        import_ctf(ctf_file(tmp_path / "ctf.star", dict.fromkeys(names, 1)), FILES, **MICROSCOPE)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("ctf")


# Cc and Z: what STAR files refuse; the unassigned and private are fine
letters = st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\\"'#")


@settings(max_examples=30)
@given(
    names=st.lists(st.text(letters, min_size=1, max_size=5), min_size=1, max_size=8, unique=True),
    groups=st.lists(st.integers(1, 4000), min_size=8, max_size=8),
    has_ctf=st.lists(st.booleans(), min_size=8, max_size=8),
    prefixed=st.booleans(),
)
def test_every_micrograph_gets_its_own_lens_and_group_or_is_refused(directory, names, groups, has_ctf, prefixed):
    stems = [f"m{name}-1" for name in names]
    given_groups = {name: group for name, group, has in zip(stems, groups, has_ctf, strict=False) if has}
    files = {name: f"raw/{name}.mrc" for name in stems}
    in_file = {(UID if prefixed else "") + name: group for name, group in given_groups.items()}
    path = ctf_file(directory / "ctf.star", in_file)
    if not given_groups:
        with pytest.raises(UserError, match="has no line for any micrograph"):
            import_ctf(path, files, **MICROSCOPE)
        return
    table, optics = ctf = import_ctf(path, files, **MICROSCOPE).ctf
    refused = without_ctf(files, ctf, {}, source=path)
    assert [row.path for row in refused] == [files[name] for name in stems if name not in given_groups]
    named = dict(zip(optics["rlnOpticsGroup"], optics["rlnOpticsGroupName"], strict=True))
    assert list(named) == list(range(1, len(named) + 1))
    found = {row.micrograph: (row.defocus_u_angstrom, named[row.optics_group]) for row in table.itertuples()}
    order = {name: 1000.0 * i for i, name in enumerate(given_groups, start=1)}
    assert found == {name: (order[name], f"g{group}") for name, group in given_groups.items()}


def ctf_lines(path, rows, suffix=".mrc", **optics):
    """`rows`: by micrograph, defocus U, V, angle, phase shift and, where there are several, the optics group."""
    groups = pd.DataFrame({"rlnOpticsGroup": [1], "rlnOpticsGroupName": ["g1"]})
    if optics:
        numbers = range(1, 1 + len(next(iter(optics.values()))))
        groups = pd.DataFrame({"rlnOpticsGroup": numbers, "rlnOpticsGroupName": [f"g{n}" for n in numbers], **optics})
    labels = ["rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift", "rlnOpticsGroup"]
    cells = [[*row, 1][:5] for row in rows.values()]
    table = pd.DataFrame(cells, columns=labels)
    table.insert(0, "rlnMicrographName", [f"job/{name}{suffix}" for name in rows])
    write_blocks(path, {"optics": groups, "micrographs": table})
    return str(path)


GOOD = (12000.0, 11000.0, 35.0, 0.0)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((np.nan, 11000, 35, 0), "rlnDefocusU of b is not a number; estimate the CTF again, or remove the line"),
        ((12000, np.inf, 35, 0), "rlnDefocusV of b is not a number; estimate the CTF again"),
        ((12000, 11000, np.nan, 0), "rlnDefocusAngle of b is not a number; estimate the CTF again"),
        ((-12000, 11000, 35, 0), "rlnDefocusU of b is -12000 Å, which is overfocus .*; change the sign"),
        ((1.2, 1.1, 35, 0), "rlnDefocusU of b is 1.2 Å; if these are micrometres, multiply by 10000"),
        ((12000, 0, 35, 0), "rlnDefocusV of b is 0 Å; if these are micrometres"),
        ((12000, 2.1e6, 35, 0), "rlnDefocusV of b is 2.1e\\+06 Å, more than 200000; give it in Å"),
        ((12000, 11000, 1e4, 0), "rlnDefocusAngle of b is 10000, which is no angle in degrees from -360 to 360; cor"),
        ((12000, 11000, 35, -4000), "rlnPhaseShift of b is -4000, which is no angle in degrees"),
    ],
)
def test_an_impossible_ctf_costs_its_micrograph_alone_unless_all_are(tmp_path, values, reason):
    path = ctf_lines(tmp_path / "ctf.star", {"a": GOOD, "b": values, "c": GOOD})
    ctf, refused, _ = import_ctf(path, FILES, **MICROSCOPE)
    assert ctf.micrographs["micrograph"].tolist() == ["a", "c"]
    ((file, stage, why),) = without_ctf(FILES, ctf, refused, source=path)
    assert (file, stage) == ("raw/b.mrc", "ctf") and why.startswith(path)
    with pytest.raises(UserError, match=rf"ctf\.star: {reason}.*\(this concerns all of 1 micrographs\)"):
        import_ctf(ctf_lines(tmp_path / "ctf.star", {"b": values}), FILES, **MICROSCOPE)


@pytest.mark.parametrize(
    ("optics", "message"),
    [
        ({"rlnVoltage": [300000.0]}, "rlnVoltage is 300000; give it in kV, between 10 and 3000"),
        ({"rlnSphericalAberration": [2.7e7]}, r"rlnSphericalAberration is 2.7e\+07; give it in mm, between 0 and 20"),
        ({"rlnAmplitudeContrast": [10.0]}, "rlnAmplitudeContrast is 10; give it as a fraction, between 0 and 1"),
    ],
)
def test_an_impossible_microscope_is_refused(tmp_path, optics, message):
    path = ctf_lines(tmp_path / "ctf.star", {"a": GOOD}, **optics)
    with pytest.raises(UserError, match=rf"ctf\.star: {message}"):
        import_ctf(path, FILES, **MICROSCOPE)


def test_micrographs_of_another_pixel_size_in_the_ctf_file_are_refused(tmp_path):
    rows = {"a": (*GOOD, 1), "b": (*GOOD, 2), "c": (*GOOD, 1)}
    path = ctf_lines(tmp_path / "ctf.star", rows, rlnMicrographPixelSize=[1.5, 3.0])
    ctf, refused, notices = import_ctf(path, FILES, **MICROSCOPE)
    assert ctf.micrographs["micrograph"].tolist() == ["a", "c"] and notices == []
    assert list(refused) == ["b"] and "says pixels of 3 Å for b and of 1.5 Å for others; put" in refused["b"]
    # no group is that of the config: the more frequent one is meant
    path = ctf_lines(tmp_path / "ctf.star", rows, rlnMicrographPixelSize=[0.75, 3.0])
    ctf, refused, notices = import_ctf(path, FILES, **MICROSCOPE)
    assert list(refused) == ["b"] and len(notices) == 1
    assert "says pixels of 0.75 Å, the config's pixel_size is 1.5 Å, which is used" in notices[0]


def test_a_ctf_file_that_contradicts_the_config_is_noticed(tmp_path):
    optics = {"rlnMicrographPixelSize": [3.0], "rlnVoltage": [200.0], "rlnAmplitudeContrast": [0.1]}
    path = ctf_lines(tmp_path / "ctf.star", {"a": GOOD}, **optics)
    ctf, refused, notices = import_ctf(path, FILES, **MICROSCOPE)
    assert refused == {} and ctf.groups["rlnVoltage"].tolist() == [200]
    assert [notice.removeprefix(f"{path}: ").split(";")[0] for notice in notices] == [
        "says pixels of 3 Å, the config's pixel_size is 1.5 Å, which is used",
        "rlnVoltage is 200, the config's voltage_kv is 300",
    ]


@pytest.mark.parametrize(
    ("estimated_from", "micrograph", "origin", "sign"),
    [
        (".mrc", ".mrc", None, 1),
        (".tif", ".tiff", None, -1),
        (".tif", ".tif", "top-left", 1),
        (".mrc", ".png", "top-left", 1),
        (".mrc", ".jpg", "bottom-left", -1),
        (".mrc", ".mrc", "bottom-left", -1),
    ],
)
def test_an_angle_seen_from_the_last_row_changes_its_sign(tmp_path, estimated_from, micrograph, origin, sign):
    path = ctf_lines(tmp_path / "ctf.star", {"a": GOOD}, suffix=estimated_from)
    ctf, _, _ = import_ctf(path, {"a": f"raw/a{micrograph}"}, origin=origin, **MICROSCOPE)
    row = ctf.micrographs.iloc[0]
    assert row["defocus_angle_deg"] == sign * 35
    assert (row["defocus_u_angstrom"], row["defocus_v_angstrom"]) == GOOD[:2]


@pytest.mark.parametrize(("estimated_from", "micrograph"), [(".mrc", ".jpg"), (".mrc", ".tif"), (".tif", ".mrc")])
def test_the_frame_of_an_angle_is_never_guessed(tmp_path, estimated_from, micrograph):
    path = ctf_lines(tmp_path / "ctf.star", {"a": GOOD}, suffix=estimated_from)
    message = rf"estimated on job/a{estimated_from}, whose rows .* those of raw/a{micrograph}; set ctf_origin"
    with pytest.raises(UserError, match=message):
        import_ctf(path, {"a": f"raw/a{micrograph}"}, **MICROSCOPE)


def test_the_ctf_of_an_image_upside_down_has_the_opposite_angle():
    optics = {"pixel_size": 2.0, "voltage_kv": 300, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1}
    lens = {"defocus_u_angstrom": 2e4, "defocus_v_angstrom": 1e4}
    seen, turned = (transfer_function((63, 63), defocus_angle_deg=a, **lens, **optics) for a in (35.0, -35.0))
    # rows of the transform at −frequency
    np.testing.assert_allclose(turned, np.roll(seen[::-1], 1, axis=0), atol=1e-4)
    assert np.abs(turned - seen).max() > 1
