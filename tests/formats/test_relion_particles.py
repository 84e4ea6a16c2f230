import numpy as np
import pandas as pd
import pytest
import starfile
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_core.errors import UserError
from crisp_core.formats.relion_optics import optics_table
from crisp_core.formats.relion_particles import joined_particles, particles_table, write_particles_star
from crisp_core.formats.star import read_blocks
from tests.formats.tables import OPTICS, PATHS, ctf, picks


def test_particles_star_reads_back_through_the_library(tmp_path):
    particles = particles_table(picks(), stack="particles/0.mrcs", micrograph_paths=PATHS, ctf=ctf())
    write_particles_star(tmp_path / "p.star", optics_table(**OPTICS), particles)
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
    particles = particles_table(picks(), stack="p.mrcs", micrograph_paths=PATHS)
    assert not any(label.startswith("rlnDefocus") for label in particles)
    shifted = ctf().assign(phase_shift_deg=[90.0, 80.0])
    particles = particles_table(picks(), stack="p.mrcs", micrograph_paths=PATHS, ctf=shifted)
    assert list(particles["rlnPhaseShift"]) == [80, 80, 90]
    with pytest.raises(UserError, match=r"no line for micrograph m1 \(1 in all\).*that has every micrograph, or none"):
        particles_table(picks(), stack="p.mrcs", micrograph_paths=PATHS, ctf=ctf().iloc[:1])


def test_no_particles_still_make_a_readable_file(tmp_path):
    particles = particles_table(picks().iloc[:0], stack="p.mrcs", micrograph_paths=PATHS, ctf=ctf())
    write_particles_star(tmp_path / "p.star", optics_table(**OPTICS), particles)
    blocks = read_blocks(tmp_path / "p.star")
    assert len(blocks["particles"]) == 0 and list(blocks["particles"]) == list(particles)


def test_the_same_image_twice_is_refused(tmp_path):
    particles = particles_table(picks(), stack="p.mrcs", micrograph_paths=PATHS)
    with pytest.raises(
        UserError, match=r"p\.star: two particles have the image 000001@p\.mrcs; give every batch its own"
    ):
        write_particles_star(tmp_path / "p.star", optics_table(**OPTICS), pd.concat([particles, particles]))


def test_thousands_of_optics_groups_come_back(tmp_path):
    n = 5000
    optics = pd.concat([optics_table(**OPTICS)] * n, ignore_index=True)
    optics["rlnOpticsGroup"] = np.arange(1, n + 1)
    optics["rlnOpticsGroupName"] = [f"opticsGroup{i}" for i in range(1, n + 1)]
    rng = np.random.default_rng(0)
    picks_of_all = pd.DataFrame(
        {"micrograph": [f"β{i}" for i in range(n)], "x": rng.uniform(size=n), "y": rng.uniform(size=n), "score": 1.0}
    )
    paths = {stem: f"m/{stem}.mrc" for stem in picks_of_all["micrograph"]}
    particles = particles_table(picks_of_all, stack="p.mrcs", micrograph_paths=paths)
    particles["rlnOpticsGroup"] = optics["rlnOpticsGroup"]
    write_particles_star(tmp_path / "p.star", optics, particles)
    blocks = read_blocks(tmp_path / "p.star")
    for name, table in (("optics", optics), ("particles", particles)):
        pd.testing.assert_frame_equal(blocks[name], table, check_dtype=False, rtol=1e-8)


def test_the_optics_of_particles_are_those_of_their_micrographs(tmp_path):
    groups = pd.DataFrame({"rlnOpticsGroupName": ["a", "b"], "rlnOpticsGroup": [1, 2], "rlnVoltage": [200.0, 120.0]})
    table = optics_table(**OPTICS, groups=groups)
    expected = optics_table(**OPTICS).iloc[0].to_dict()
    for row, name, number, voltage in zip(table.to_dict("records"), "ab", (1, 2), (200, 120), strict=True):
        assert row == expected | {"rlnOpticsGroupName": name, "rlnOpticsGroup": number, "rlnVoltage": voltage}
    particles = particles_table(picks(), stack="p.mrcs", micrograph_paths=PATHS, ctf=ctf().assign(optics_group=[1, 2]))
    assert particles["rlnOpticsGroup"].tolist() == [2, 2, 1]


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
    optics, particles = joined_particles(blocks)
    together = [particle for batch in batches for particle in batch]
    names = optics.set_index("rlnOpticsGroup")["rlnOpticsGroupName"]
    assert [(names[n], x) for n, x in zip(particles["rlnOpticsGroup"], particles["x"], strict=True)] == [
        (f"g{group}", x) for group, x in together
    ]
    assert names.tolist() == list(dict.fromkeys(f"g{group}" for group, _ in together)) or not together
    assert names.index.tolist() == list(range(1, len(names) + 1)) and len(names) > 0
