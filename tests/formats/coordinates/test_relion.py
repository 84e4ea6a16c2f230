import math

import numpy as np
import pytest

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.registry import names_micrographs, read_coordinates
from crisp_core.formats.relion_origins import read_origins
from tests.formats.coordinates.tables import XY, blocks, read, rows


def test_a_star_block_of_single_values_is_one_particle(tmp_path):
    assert rows(read(tmp_path / "m.star", "data_\n\n_rlnCoordinateX 10.5\n_rlnCoordinateY 20\n"))[0][:2] == [10.5, 20]


def test_casspers_sentinel_is_no_score(tmp_path):
    content = (
        "\r\ndata_\r\n\r\nloop_\r\n_rlnCoordinateX #1 \r\n_rlnCoordinateY #2\r\n_rlnClassNumber #3\r\n"
        "_rlnAutopickFigureOfMerit  #4\r\n579.000000\t3912.000000\t-999\t-999.000000\r\n3475.0\t3904.0\t-999\t0.25\r\n"
    )
    back = read(tmp_path / "m_autopick.star", content)
    np.testing.assert_array_equal(back[["x", "y", "score"]], [[579, 3912, math.nan], [3475, 3904, 0.25]])
    assert set(back["micrograph"]) == {"m"}


def test_blocks_named_after_micrographs_are_all_read(tmp_path):
    content = blocks(mic0="1 2\n3 4", mic1="5 6", mic2="")
    back = read(tmp_path / "all.star", content)
    assert list(back["micrograph"]) == ["mic0", "mic0", "mic1"]
    np.testing.assert_array_equal(back[["x", "y"]], [[1, 2], [3, 4], [5, 6]])
    assert names_micrographs(tmp_path / "all.star")
    # a single block is the file's micrograph, whatever its name
    assert set(read(tmp_path / "m_autopick.star", blocks(images="1 2"))["micrograph"]) == {"m"}
    assert not names_micrographs(tmp_path / "m_autopick.star")


def test_blocks_that_name_micrographs_are_all_read(tmp_path):
    head = "loop_\n_rlnMicrographName\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnOriginXAngst\n_rlnOriginYAngst\n"
    content = f"data_a\n\n{head}m1.mrc 1 2 3 4\n\ndata_b\n\n{head}m2.mrc 5 6 7 8\nm1.mrc 9 9 9 9\n"
    assert list(read(tmp_path / "all.star", content)["micrograph"]) == ["m1", "m2", "m1"]
    origins = read_origins(tmp_path / "all.star", pixel_size=2.0)
    np.testing.assert_array_equal(origins, [[1.5, 2], [3.5, 4], [4.5, 4.5]])
    mixed = content.replace("_rlnMicrographName", "_rlnImageName", 1)
    with pytest.raises(UserError, match=r"some of its 2 blocks of coordinates have the column rlnMicrographName"):
        read(tmp_path / "all.star", mixed)


def test_files_joined_into_one_are_refused(tmp_path):
    """`cat mic?.star > all.star`: a STAR reader sees the last block of a name."""
    for name, shown in (("", "data_"), ("particles", "data_particles")):
        content = "# version 30001\n\n" + "".join(blocks(**{name: f"{i} 2"}) for i in range(5))
        with pytest.raises(UserError, match=rf"all\.star: holds 5 blocks named {shown}, of which a reader sees one; "):
            read(tmp_path / "all.star", content)


@pytest.mark.parametrize(
    "content", [blocks(mic0=""), f"data_\n\nloop_\n{XY}", f"# version 30001\n\ndata_\n\nloop_\n{XY}\n"]
)
def test_a_star_file_without_rows_is_no_particle(tmp_path, content):
    assert len(read(tmp_path / "mic0.star", content)) == 0


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "first_row", "micrograph"),
    [
        ("aspire_sample_particles_relion30.star", (2158.111921, 3073.912046, 1.065473), "micrograph"),
        ("aspire_sample_particles_relion31.star", (2158.111921, 3073.912046, 1.065473), "micrograph"),
        (
            "cryodrgn_relion31.v2.star",
            (3277, 983, math.nan),
            "18aug10a_MC2_FoilHole_10984848_Data_10985376_10985377_20180810_2123-144102_DW",
        ),
    ],
)
def test_particle_stars_of_relion_30_and_31(shared_data, name, first_row, micrograph):
    back = read_coordinates(shared_data / "interop" / name)
    np.testing.assert_array_equal(back.loc[0, ["x", "y", "score"]].to_numpy(dtype=float), first_row)
    assert back.loc[0, "micrograph"] == micrograph


def hand_parsed_star(path):
    """Labels and cells of the block of particles: a plain split of its lines."""
    block = next(block for block in path.read_text().split("\ndata_") if "_rlnCoordinateX" in block)
    lines = block.splitlines()
    labels = [line.split()[0][1:] for line in lines if line.startswith("_")]
    start = max(i for i, line in enumerate(lines) if line.startswith("_")) + 1
    return labels, [line.split() for line in lines[start:] if line.strip() and not line.startswith("#")]


@pytest.mark.real
@pytest.mark.parametrize(
    "name",
    [
        "aspire_sample_particles_relion30.star",
        "aspire_sample_particles_relion31.star",
        "cryodrgn_relion31.6opticsgroups.star",
        "cryodrgn_relion31.star",
        "cryodrgn_relion31.v2.star",
        "cryodrgn_relion5.star",
    ],
)
def test_particle_stars_equal_a_hand_parse(shared_data, name):
    """RELION 3.0, 3.1 and 5, one and many optics groups, labels with and without numbers, with scores and without."""
    labels, cells = hand_parsed_star(shared_data / "interop" / name)

    def column(label):
        return np.array([float(row[labels.index(label)]) for row in cells])

    back = read_coordinates(shared_data / "interop" / name)
    np.testing.assert_array_equal(back["x"], column("rlnCoordinateX"))
    np.testing.assert_array_equal(back["y"], column("rlnCoordinateY"))
    if "rlnAutopickFigureOfMerit" in labels:
        np.testing.assert_array_equal(back["score"], column("rlnAutopickFigureOfMerit"))
    else:
        assert back["score"].isna().all()
    stems = [row[labels.index("rlnMicrographName")].split("/")[-1].removesuffix(".mrc") for row in cells]
    assert list(back["micrograph"]) == stems


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "labels", "factor"),
    [
        # RELION 3.0 has pixels of the images, whose size is detector over magnification; 3.1 has Å
        ("aspire_sample_particles_relion30.star", ("rlnOriginX", "rlnOriginY"), None),
        ("aspire_sample_particles_relion31.star", ("rlnOriginXAngst", "rlnOriginYAngst"), 1.0),
    ],
)
def test_origins_of_particle_stars_equal_a_hand_parse(shared_data, name, labels, factor):
    found, cells = hand_parsed_star(shared_data / "interop" / name)
    numbers = {label: np.array([float(row[found.index(label)]) for row in cells]) for label in labels}
    if factor is None:
        detector, magnification = (found.index(label) for label in ("rlnDetectorPixelSize", "rlnMagnification"))
        factor = np.array([1e4 * float(row[detector]) / float(row[magnification]) for row in cells])
    expected = np.column_stack([numbers[label] * factor / 0.885 for label in labels])
    np.testing.assert_allclose(read_origins(shared_data / "interop" / name, pixel_size=0.885), expected, rtol=1e-12)
