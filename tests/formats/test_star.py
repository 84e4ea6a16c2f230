import math

import numpy as np
import pandas as pd
import pytest
import starfile
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_core.errors import UserError
from crisp_core.formats import star

PATHS = {"m1": "micrographs/m1.mrc", "May08_04.33.57": "micrographs/May08_04.33.57.mrc", "bare": "micrographs/bare.mrc"}
OPTICS = {
    "voltage_kv": 300,
    "spherical_aberration_mm": 2.7,
    "amplitude_contrast": 0.1,
    "micrograph_pixel_size": 1.77,
    "pixel_size": 3.54,
    "box_px": 64,
}


def picks(**more):
    names = pd.Series(["m1", "m1", "May08_04.33.57"], dtype="str")
    table = pd.DataFrame(
        {"micrograph": names, "x": [1.25, 4095.0, 7], "y": [0.1, 2, 3.5], "score": [0.5, math.nan, -3]}
    )
    return table.assign(**more)


def ctf():
    return pd.DataFrame(
        {
            "micrograph": ["May08_04.33.57", "m1"],
            "defocus_u_angstrom": [16060.5, 15604.0],
            "defocus_v_angstrom": [15900.0, 15500.0],
            "defocus_angle_deg": [12.0, -40.0],
        }
    )


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a/b/May08_04.33.57.mrc", "May08_04.33.57"),
        ("May08_04.33.57", "May08_04.33.57"),
        ("C:\\data\\m.TIFF", "m"),
        ("m.mrc.bz2", "m"),
        ("7", "7"),
    ],
)
def test_stem_keeps_dots_that_are_no_suffix(name, stem):
    assert star.micrograph_stem(name) == stem


def test_coordinates_come_back(tmp_path):
    table = picks(area_px=[10, 20, 30], note=pd.Series(["a", "b", "c"], dtype="str"))
    star.write_coordinates_star(tmp_path / "picks.star", table)
    pd.testing.assert_frame_equal(star.read_coordinates_star(tmp_path / "picks.star"), table)


def test_empty_coordinates_come_back(tmp_path):
    star.write_coordinates_star(tmp_path / "picks.star", picks().iloc[:0])
    back = star.read_coordinates_star(tmp_path / "picks.star")
    assert list(back.columns) == list(star.COLUMNS) and len(back) == 0
    assert back.dtypes.to_dict() == picks().dtypes.to_dict()


def test_float32_scores_come_back_exactly(tmp_path):
    scores = np.random.default_rng(0).random(200, dtype=np.float32) ** 8
    table = pd.DataFrame({"micrograph": "m", "x": 1.0, "y": 2.0, "score": scores})
    star.write_coordinates_star(tmp_path / "picks.star", table)
    back = star.read_coordinates_star(tmp_path / "picks.star")
    np.testing.assert_array_equal(back["score"].astype(np.float32), scores)


def test_bytes_have_no_time_stamp_and_lf_ends(tmp_path):
    star.write_coordinates_star(tmp_path / "picks.star", picks())
    assert (tmp_path / "picks.star").read_bytes().decode() == (
        "# version 30001\n\ndata_particles\n\nloop_\n"
        "_rlnCoordinateX #1\n_rlnCoordinateY #2\n_rlnMicrographName #3\n_rlnAutopickFigureOfMerit #4\n"
        "1.25\t0.1\tm1\t0.5\n4095\t2\tm1\t-999\n7\t3.5\tMay08_04.33.57\t-3\n\n"
    )


def test_particles_star_reads_back_through_the_library(tmp_path):
    particles = star.particles_table(picks(), stack="particles/0.mrcs", micrograph_paths=PATHS, ctf=ctf())
    star.write_particles_star(tmp_path / "p.star", star.optics_table(**OPTICS), particles)
    blocks = starfile.read(tmp_path / "p.star")
    assert list(blocks) == ["optics", "particles"]
    assert blocks["optics"].iloc[0].to_dict() == {
        "rlnOpticsGroupName": "opticsGroup1",
        "rlnOpticsGroup": 1,
        "rlnVoltage": 300,
        "rlnSphericalAberration": 2.7,
        "rlnAmplitudeContrast": 0.1,
        "rlnMicrographOriginalPixelSize": 1.77,
        "rlnImagePixelSize": 3.54,
        "rlnImageSize": 64,
        "rlnImageDimensionality": 2,
    }
    assert list(blocks["particles"]["rlnImageName"]) == [f"00000{i}@particles/0.mrcs" for i in (1, 2, 3)]
    assert blocks["particles"].iloc[2].to_dict() == {
        "rlnCoordinateX": 7,
        "rlnCoordinateY": 3.5,
        "rlnImageName": "000003@particles/0.mrcs",
        "rlnMicrographName": "micrographs/May08_04.33.57.mrc",
        "rlnOpticsGroup": 1,
        "rlnAutopickFigureOfMerit": -3,
        "rlnDefocusU": 16060.5,
        "rlnDefocusV": 15900,
        "rlnDefocusAngle": 12,
    }


def test_ctf_columns_are_all_or_none():
    particles = star.particles_table(picks(), stack="p.mrcs", micrograph_paths=PATHS)
    assert not any(label.startswith("rlnDefocus") for label in particles)
    shifted = ctf().assign(phase_shift_deg=[90.0, 80.0])
    particles = star.particles_table(picks(), stack="p.mrcs", micrograph_paths=PATHS, ctf=shifted)
    assert list(particles["rlnPhaseShift"]) == [80, 80, 90]
    with pytest.raises(UserError, match=r"no line for micrograph m1 \(1 in all\).*that has every micrograph, or none"):
        star.particles_table(picks(), stack="p.mrcs", micrograph_paths=PATHS, ctf=ctf().iloc[:1])


def test_no_particles_still_make_a_readable_file(tmp_path):
    particles = star.particles_table(picks().iloc[:0], stack="p.mrcs", micrograph_paths=PATHS, ctf=ctf())
    star.write_particles_star(tmp_path / "p.star", star.optics_table(**OPTICS), particles)
    blocks = star.read_blocks(tmp_path / "p.star")
    assert len(blocks["particles"]) == 0 and list(blocks["particles"]) == list(particles)


def test_the_same_image_twice_is_refused(tmp_path):
    particles = star.particles_table(picks(), stack="p.mrcs", micrograph_paths=PATHS)
    with pytest.raises(UserError, match=r"p\.star: image 000001@p\.mrcs stands twice; give every batch its own stack"):
        star.write_particles_star(tmp_path / "p.star", star.optics_table(**OPTICS), pd.concat([particles, particles]))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("my micrograph.mrc", "a STAR file cannot hold the name 'my micrograph.mrc'; rename it without blanks"),
        ("a'b", "cannot hold the name"),
        ("a#b", "cannot hold the name"),
        ("", "cannot hold the name ''"),
        ("a\x07b", "cannot hold the name"),
        ("a\u2028b", "cannot hold the name"),
        ("<NA>", "the name '<NA>' means in a table that there is none; rename it"),
        ("nan", "the name 'nan' means in a table that there is none; rename it"),
        ("../raw/m.mrc", r"RELION does not follow '\.\.' in '\.\./raw/m.mrc'; link the files"),
    ],
)
def test_names_that_relion_cannot_read_are_refused(tmp_path, name, reason):
    with pytest.raises(UserError, match=reason):
        star.write_coordinates_star(tmp_path / "picks.star", picks(micrograph=[name] * 3))
    particles = star.particles_table(picks().iloc[:1], stack="p.mrcs", micrograph_paths={"m1": name})
    with pytest.raises(UserError, match=reason):
        star.write_particles_star(tmp_path / "p.star", star.optics_table(**OPTICS), particles)


@pytest.mark.parametrize("name", ["data_1/m1.mrc", "_m1.mrc", "loop_m1", "LOOP_m1", ";m1"])
def test_a_line_that_would_begin_with_a_word_of_the_format_is_refused(tmp_path, name):
    first = pd.DataFrame({"rlnMicrographName": [name], "rlnOpticsGroup": [1]})
    with pytest.raises(UserError, match=f"a line of a STAR file cannot begin with '{name}'; rename it"):
        star.write_blocks(tmp_path / "m.star", {"micrographs": first})
    second = first[["rlnOpticsGroup", "rlnMicrographName"]]
    star.write_blocks(tmp_path / "m.star", {"micrographs": second})
    assert star.read_blocks(tmp_path / "m.star")["micrographs"]["rlnMicrographName"].tolist() == [name]


def test_thousands_of_optics_groups_come_back(tmp_path):
    n = 5000
    optics = pd.concat([star.optics_table(**OPTICS)] * n, ignore_index=True)
    optics["rlnOpticsGroup"] = np.arange(1, n + 1)
    optics["rlnOpticsGroupName"] = [f"opticsGroup{i}" for i in range(1, n + 1)]
    rng = np.random.default_rng(0)
    picks_of_all = pd.DataFrame(
        {"micrograph": [f"β{i}" for i in range(n)], "x": rng.uniform(size=n), "y": rng.uniform(size=n), "score": 1.0}
    )
    paths = {stem: f"m/{stem}.mrc" for stem in picks_of_all["micrograph"]}
    particles = star.particles_table(picks_of_all, stack="p.mrcs", micrograph_paths=paths)
    particles["rlnOpticsGroup"] = optics["rlnOpticsGroup"]
    star.write_particles_star(tmp_path / "p.star", optics, particles)
    blocks = star.read_blocks(tmp_path / "p.star")
    for name, table in (("optics", optics), ("particles", particles)):
        pd.testing.assert_frame_equal(blocks[name], table, check_dtype=False, rtol=1e-8)


def test_duplicate_labels_are_refused_in_and_out(tmp_path):
    table = pd.concat([picks(), pd.DataFrame({"rlnCoordinateX": [1, 2, 3]})], axis=1)
    with pytest.raises(UserError, match=r"label rlnCoordinateX would stand twice; rename"):
        star.write_coordinates_star(tmp_path / "picks.star", table)
    (tmp_path / "twice.star").write_text("data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateX #2\n1 2\n")
    with pytest.raises(UserError, match=r"twice\.star: label rlnCoordinateX stands twice in one block; remove"):
        star.read_blocks(tmp_path / "twice.star")


def test_autopick_files_cover_micrographs_without_picks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    star.write_autopick("results/autopick.star", "results/autopick", picks(), PATHS)
    listed = starfile.read("results/autopick.star", always_dict=True)["coordinate_files"]
    assert list(listed["rlnMicrographName"]) == list(PATHS.values())
    assert list(listed["rlnMicrographCoordinates"]) == [f"results/autopick/{stem}_autopick.star" for stem in PATHS]
    first = starfile.read("results/autopick/m1_autopick.star")
    assert first.to_dict("list") == {
        "rlnCoordinateX": [1.25, 4095],
        "rlnCoordinateY": [0.1, 2],
        "rlnAutopickFigureOfMerit": [0.5, -999],
        "rlnClassNumber": [0, 0],
        "rlnAnglePsi": [0, 0],
    }
    assert len(starfile.read("results/autopick/bare_autopick.star")) == 0


def test_picks_of_an_unknown_micrograph_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"no path is known for micrograph May08_04\.33\.57; it is not in"):
        star.write_autopick(tmp_path / "a.star", tmp_path, picks(), {"m1": "m1.mrc"})


CTF_STAR = "rlnMicrographName rlnDefocusU rlnDefocusV rlnDefocusAngle rlnPhaseShift rlnOpticsGroup"
ONE_GROUP = ("rlnOpticsGroupName rlnOpticsGroup", "opticsGroup1 1")


def loop(name, labels, rows):
    header = "\n".join(f"_{label} #{i}" for i, label in enumerate(labels.split(), start=1))
    return f"# version 30001\n\ndata_{name}\n\nloop_\n{header}\n" + "\n".join(rows) + "\n\n"


def ctf_star(path, rows, labels=CTF_STAR, groups=ONE_GROUP):
    path.write_text(f"\n{loop('optics', groups[0], groups[1:])}\n{loop('micrographs', labels, rows)}")
    return path


def test_micrographs_ctf_reads(tmp_path):
    rows = [f"MotionCorr/job002/{stem}.mrc {u} 15000 -12.5 0 1" for stem, u in (("m1", 16000.5), ("m.2", 17000))]
    table, groups = star.read_micrographs_ctf(ctf_star(tmp_path / "ctf.star", rows))
    assert table.to_dict("list") == {
        "micrograph": ["m1", "m.2"],
        "defocus_u_angstrom": [16000.5, 17000],
        "defocus_v_angstrom": [15000, 15000],
        "defocus_angle_deg": [-12.5, -12.5],
        "phase_shift_deg": [0, 0],
        "optics_group": [1, 1],
    }
    assert groups.to_dict("list") == {"rlnOpticsGroupName": ["opticsGroup1"], "rlnOpticsGroup": [1]}


def test_optics_groups_of_micrographs_are_numbered_anew(tmp_path):
    """Group 9 has no micrograph; the others keep their order, names and microscope."""
    labels = "rlnAmplitudeContrast rlnVoltage rlnOpticsGroupName rlnOpticsGroup"
    groups = (labels, "0.07 200 monday 9", "0.08 300 tuesday 4", "0.1 120 βeta 2")
    rows = [f"{stem}.mrc 1 2 3 0 {group}" for stem, group in (("a", 2), ("b", 4), ("c", 2))]
    table, found = star.read_micrographs_ctf(ctf_star(tmp_path / "ctf.star", rows, groups=groups))
    assert table["optics_group"].tolist() == [2, 1, 2]
    assert found.to_dict("list") == {
        "rlnOpticsGroupName": ["tuesday", "βeta"],
        "rlnOpticsGroup": [1, 2],
        "rlnVoltage": [300, 120],
        "rlnAmplitudeContrast": [0.08, 0.1],
    }


def test_micrographs_of_relion_30_group_by_their_microscope(tmp_path):
    labels = "rlnMicrographName rlnDefocusU rlnDefocusV rlnDefocusAngle rlnVoltage rlnSphericalAberration"
    rows = ["a.mrc 1 2 3 300 2.7", "b.mrc 1 2 3 200 2.7", "c.mrc 1 2 3 300 2.7"]
    (tmp_path / "ctf.star").write_text(loop("", labels, rows))
    table, groups = star.read_micrographs_ctf(tmp_path / "ctf.star")
    assert table["optics_group"].tolist() == [1, 2, 1]
    assert groups.to_dict("list") == {
        "rlnOpticsGroupName": ["opticsGroup1", "opticsGroup2"],
        "rlnOpticsGroup": [1, 2],
        "rlnVoltage": [300, 200],
        "rlnSphericalAberration": [2.7, 2.7],
    }


def test_the_optics_of_particles_are_those_of_their_micrographs(tmp_path):
    groups = pd.DataFrame({"rlnOpticsGroupName": ["a", "b"], "rlnOpticsGroup": [1, 2], "rlnVoltage": [200.0, 120.0]})
    table = star.optics_table(**OPTICS, groups=groups)
    expected = star.optics_table(**OPTICS).iloc[0].to_dict()
    for row, name, number, voltage in zip(table.to_dict("records"), "ab", (1, 2), (200, 120), strict=True):
        assert row == expected | {"rlnOpticsGroupName": name, "rlnOpticsGroup": number, "rlnVoltage": voltage}
    particles = star.particles_table(
        picks(), stack="p.mrcs", micrograph_paths=PATHS, ctf=ctf().assign(optics_group=[1, 2])
    )
    assert particles["rlnOpticsGroup"].tolist() == [2, 2, 1]


def test_a_ctf_that_is_no_number_costs_its_micrograph_alone(tmp_path):
    labels = "rlnMicrographName rlnDefocusU rlnDefocusV rlnDefocusAngle"
    rows = ["a.mrc 12000 11000 3", "b.mrc nan -nan 3", "c.mrc inf x2 3", "d.mrc 9000 8000 7"]
    table, _ = star.read_micrographs_ctf(ctf_star(tmp_path / "ctf.star", rows, labels))
    np.testing.assert_equal(table["defocus_u_angstrom"].to_numpy(), [12000, np.nan, np.nan, 9000])
    np.testing.assert_equal(table["defocus_v_angstrom"].to_numpy(), [11000, np.nan, np.nan, 8000])


def test_the_files_and_pixel_sizes_of_a_ctf(tmp_path):
    rows = [f"jobs/{stem}.tif 1 2 3 0 {group}" for stem, group in (("a", 2), ("b", 1), ("c", 2))]
    groups = ("rlnOpticsGroup rlnMicrographOriginalPixelSize rlnMicrographPixelSize", "1 0.5 1.06", "2 0.5 0")
    found = star.read_ctf_sources(ctf_star(tmp_path / "ctf.star", rows, groups=groups))
    assert found["file"].tolist() == ["jobs/a.tif", "jobs/b.tif", "jobs/c.tif"]
    assert found["micrograph"].tolist() == ["a", "b", "c"]
    np.testing.assert_equal(found["pixel_size"].to_numpy(), [np.nan, 1.06, np.nan])
    # RELION 3.0: detector in micrometres, magnification
    (tmp_path / "old.star").write_text(
        loop("", "rlnMicrographName rlnMagnification rlnDetectorPixelSize", ["a.mrc 10000 5", "b.mrc 0 5"])
    )
    np.testing.assert_equal(star.read_ctf_sources(tmp_path / "old.star")["pixel_size"].to_numpy(), [5, np.nan])
    (tmp_path / "none.star").write_text(loop("", "rlnMicrographName", ["a.mrc"]))
    assert star.read_ctf_sources(tmp_path / "none.star")["pixel_size"].isna().all()


NUMBERS = st.lists(st.integers(1, 5000), min_size=1, max_size=12)


@settings(max_examples=60)
@given(numbers=NUMBERS, more=NUMBERS, seed=st.integers(0, 99))
def test_used_groups_keep_each_particles_row(numbers, more, seed):
    known = np.random.default_rng(seed).permutation(sorted({*numbers, *more}))
    optics = pd.DataFrame({"rlnOpticsGroupName": [f"g{n}" for n in known], "rlnOpticsGroup": known})
    used, renumbered = star.used_groups(optics, pd.Series(numbers))
    assert used["rlnOpticsGroup"].tolist() == list(range(1, len(set(numbers)) + 1))
    assert [used["rlnOpticsGroupName"][n - 1] for n in renumbered] == [f"g{n}" for n in numbers]
    assert used["rlnOpticsGroupName"].tolist() == [f"g{n}" for n in known if n in numbers]
    everything, none = star.used_groups(optics, pd.Series([], dtype=int))
    assert len(everything) == len(optics) and len(none) == 0


@settings(max_examples=60)
@given(
    batches=st.lists(st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 9)), max_size=5), min_size=1, max_size=4)
)
def test_joined_particles_keep_their_groups_by_name(batches):
    """Each batch numbers its groups in its own way; what counts is the order of the particles, and not the batches'."""
    blocks = []
    for batch in batches:
        names = sorted({group for group, _ in batch} | {0})
        optics = pd.DataFrame(
            {"rlnOpticsGroupName": [f"g{n}" for n in names], "rlnOpticsGroup": range(1, len(names) + 1)}
        )
        numbers = [names.index(group) + 1 for group, _ in batch]
        particles = pd.DataFrame({"x": [x for _, x in batch], "rlnOpticsGroup": numbers}, dtype=int)
        blocks.append({"optics": optics, "particles": particles})
    optics, particles = star.joined_particles(blocks)
    together = [particle for batch in batches for particle in batch]
    names = optics.set_index("rlnOpticsGroup")["rlnOpticsGroupName"]
    assert [(names[n], x) for n, x in zip(particles["rlnOpticsGroup"], particles["x"], strict=True)] == [
        (f"g{group}", x) for group, x in together
    ]
    assert names.tolist() == list(dict.fromkeys(f"g{group}" for group, _ in together)) or not together
    assert names.index.tolist() == list(range(1, len(names) + 1)) and len(names) > 0


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("star")


SAFE = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\\"'#"), min_size=1, max_size=6)
ANGSTROM = st.floats(-1e5, 1e5, width=32)


@settings(max_examples=30)
@given(
    names=st.lists(SAFE, max_size=6, unique=True),
    lenses=st.lists(st.tuples(ANGSTROM, ANGSTROM, ANGSTROM, ANGSTROM), min_size=6, max_size=6),
    group_of=st.lists(st.integers(1, 3), min_size=6, max_size=6),
    with_phase=st.booleans(),
)
def test_any_ctf_comes_back(directory, names, lenses, group_of, with_phase):
    """Unicode names, several optics groups, no micrograph at all; numbers of 32 bits to the last."""
    stems = [star.micrograph_stem(f"m{name}-1") for name in names]
    columns = [*star.CTF_LABELS.values(), star.PHASE_COLUMN][: 3 + with_phase]
    table = pd.DataFrame([lens[: 3 + with_phase] for lens in lenses[: len(stems)]], columns=columns, dtype=float)
    table.insert(0, "micrograph", pd.Series(stems, dtype="str"))
    groups = pd.DataFrame({"rlnOpticsGroupName": ["a", "b", "c"], "rlnOpticsGroup": [1, 2, 3], "rlnVoltage": 300.0})
    groups, numbers = star.used_groups(groups, pd.Series(group_of[: len(stems)], dtype=int))
    written = star.MicrographsCtf(table.assign(optics_group=numbers), groups)
    paths = {stem: f"mics/{stem}.mrc" for stem in stems}
    star.write_micrographs_ctf(directory / "ctf.star", written, paths, pixel_size=1.77)
    back = star.read_micrographs_ctf(directory / "ctf.star")
    pd.testing.assert_frame_equal(back.micrographs, written.micrographs, check_dtype=False, rtol=1e-8)
    pd.testing.assert_frame_equal(back.groups, written.groups, check_dtype=False)


@settings(max_examples=25)
@given(names=st.lists(SAFE, max_size=5, unique=True), n=st.integers(0, 4))
def test_autopick_files_of_any_name_come_back(directory, names, n):
    stems = [star.micrograph_stem(f"m{name}-1") for name in names]
    table = star.coordinates_table(np.repeat(stems, n), *np.random.default_rng(n).uniform(0, 99, (2, n * len(stems))))
    star.write_autopick(directory / "a.star", directory, table, {stem: f"mics/{stem}.mrc" for stem in stems})
    listed = star.read_blocks(directory / "a.star")["coordinate_files"]
    assert [star.micrograph_stem(name) for name in listed["rlnMicrographName"]] == stems
    for stem, path in zip(stems, listed["rlnMicrographCoordinates"], strict=True):
        block = star.read_blocks(path)[""]
        expected = table.loc[table["micrograph"] == stem, ["x", "y"]]
        np.testing.assert_allclose(block[["rlnCoordinateX", "rlnCoordinateY"]], expected, rtol=1e-8)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (("rlnOpticsGroup", "2"), "a row is of optics group 1, which data_optics lacks; add it"),
        (("rlnOpticsGroup", "1", "1"), "optics group 1 stands twice; remove one"),
        (("rlnOpticsGroup rlnVoltage", "1 high"), "line 9: rlnVoltage is 'high', which is not a number"),
        (
            ("rlnOpticsGroup rlnOpticsGroupName", "1 a", "2 a"),
            "two optics groups have the same rlnOpticsGroupName",
        ),
        (("rlnOpticsGroup rlnOpticsGroupName", "1 'a b'"), "a STAR file cannot hold the name 'a b'; rename it"),
    ],
)
def test_bad_optics_groups_are_refused(tmp_path, groups, message):
    path = ctf_star(tmp_path / "ctf.star", ["m.mrc 1 2 3 0 1"], groups=groups)
    with pytest.raises(UserError, match=rf"ctf\.star: {message}"):
        star.read_micrographs_ctf(path)


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        (["m.mrc 1 2"], "rlnMicrographName rlnDefocusU rlnDefocusV", "has no column rlnDefocusAngle; export it"),
        (["1 2 3"], "rlnDefocusU rlnDefocusV rlnDefocusAngle", "has no column rlnMicrographName; give the star file"),
        (["a.mrc 1 2 3", "a.mrc 1 2 3"], None, "micrograph a stands twice; give a file with one line per micrograph"),
        (["a.mrc 1 2 3", "b.mrc 1 2 3 4 5"], None, "is not a valid STAR file .*Expected 4 fields.*; correct it"),
    ],
)
def test_bad_ctf_files_are_refused(tmp_path, rows, labels, message):
    path = ctf_star(tmp_path / "ctf.star", rows, labels or "rlnMicrographName rlnDefocusU rlnDefocusV rlnDefocusAngle")
    with pytest.raises(UserError, match=rf"ctf\.star: {message}"):
        star.read_micrographs_ctf(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no STAR data block; check that it is a STAR file and not empty"),
        (b"hello\n", "holds no STAR data block"),
        (b"data_\n", "block data_ has no columns; export the file again, or remove it"),
        (b"data_\n\nloop_\n_a\n1\n\ndata_\n\nloop_\n_a\n2\n", "holds 2 blocks named data_, of which a reader sees one"),
        (b"\xff\xfe\x00\x80", "is not a text file of UTF-8; check that the path names"),
    ],
)
def test_what_is_no_star_file_is_refused(tmp_path, content, message):
    (tmp_path / "x.star").write_bytes(content)
    with pytest.raises(UserError, match=rf"x\.star: {message}"):
        star.read_blocks(tmp_path / "x.star")


def test_missing_star_file_and_block(tmp_path):
    with pytest.raises(UserError, match=r"absent\.star: no such file; check the path"):
        star.read_blocks(tmp_path / "absent.star")
    (tmp_path / "other.star").write_text("data_optics\n\nloop_\n_rlnOpticsGroup #1\n1\n")
    with pytest.raises(UserError, match=r"other\.star: has no block data_particles; run the step"):
        star.read_coordinates_star(tmp_path / "other.star")


def test_a_file_mended_after_a_failure_reads_anew(tmp_path):
    path = tmp_path / "x.star"
    path.write_text("data_\n\nloop_\n_a #1\n_b #2\n1 2\n1 2 3\n")
    with pytest.raises(UserError, match="Expected 2 fields"):
        star.read_blocks(path)
    path.write_text("data_\n\nloop_\n_a #1\n_b #2\n1 2\n3 4\n")
    assert list(star.read_blocks(path)[""]["b"]) == [2, 4]


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "n_optics"), [("cryodrgn_relion31.6opticsgroups.star", 6), ("cryodrgn_relion5.star", 1)]
)
def test_star_files_of_other_programs_read(shared_data, name, n_optics):
    blocks = star.read_blocks(shared_data / "interop" / name)
    assert len(blocks["optics"]) == n_optics
    assert len(blocks["particles"]) > 0 and "rlnImageName" in blocks["particles"]
