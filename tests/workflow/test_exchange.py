"""What other programs give and take: CTF, exposures, stacks of half precision, maps; on the tiny run's micrographs."""

import re

import mrcfile
import numpy as np
import pandas as pd
import pytest
import starfile

from crisp_core.formats.arrays import read_array
from crisp_core.formats.cs_files import write_cs
from crisp_core.formats.star import write_blocks

from .conftest import TINY, copy_workflow, run_snakemake, write_config

UID = "004512345678901234567_"
STEMS = [f"simulated_{i:04d}" for i in range(1, 6)]
# the third has no CTF, the fifth no exposure
WITH_CTF, EXPOSED = [STEMS[i] for i in (4, 0, 3, 1)], STEMS[:4]


def write_ctf(path, stems):
    """Names as cryoSPARC gives them, and optics groups 5 and 3, of which the second stands first."""
    optics = {"rlnOpticsGroup": [5, 3], "rlnOpticsGroupName": ["late", "early"], "rlnVoltage": [200.0, 120.0]}
    micrographs = pd.DataFrame({"rlnMicrographName": [f"J3/{UID}{stem}.mrc" for stem in stems]}).assign(
        rlnOpticsGroup=[3, 5] * (len(stems) // 2),
        rlnDefocusU=[1e4 + int(stem[-1]) for stem in stems],
        rlnDefocusV=9e3,
        rlnDefocusAngle=20.0,
    )
    write_blocks(path, {"optics": pd.DataFrame(optics), "micrographs": micrographs})


def write_exposures(path, stems):
    types = [("uid", "u8"), ("micrograph_blob/path", "S90"), ("micrograph_blob/shape", "u4", 2)]
    rows = np.zeros(len(stems), dtype=types)
    rows["uid"] = np.arange(len(stems)) + 70
    rows["micrograph_blob/path"] = [f"J2/{UID}{stem}.mrc".encode() for stem in stems]
    rows["micrograph_blob/shape"] = TINY["datasets"]["tiny"]["simulation"]["shape_px"]
    write_cs(path, rows)


def project(folder, earlier):
    """A workflow beside the CTF and exposures of micrographs that an earlier run simulated."""
    copy_workflow(folder)
    write_ctf(folder / "ctf.star", WITH_CTF)
    write_exposures(folder / "exposures.cs", EXPOSED)
    made = earlier / "results/tiny"
    dataset = {
        "micrographs": str(made / "micrographs/*.mrc"),
        "coordinates": {"files": str(made / "coordinates.star"), "origin": "top-left"},
        "pixel_size": 7.08,
        "particle_diameter_angstrom": 180,
        "ctf": "ctf.star",
        "exposures": "exposures.cs",
        "preparation": {"margin_angstrom": 60},
        "split": {"train": 2, "validation": 1, "test": 2},
    }
    half = {"trained": str(made / "small"), "particles": {"float16": True}}
    config = {"run": ["new/half"], "datasets": {"new": dataset}, "experiments": {"half": half}}
    write_config(folder / "new.yaml", config | {"micrographs_per_job": 3})
    return folder


def planned(folder, *targets):
    """Rules that a dry run would execute."""
    output = run_snakemake("-n", "--configfile", "new.yaml", "--", *targets, cwd=folder).stdout
    return {line.split()[0] for line in re.findall(r"^(\w+ +\d+)$", output, re.M)}


@pytest.mark.slow
def test_picks_make_no_stacks_and_all_makes_no_maps(tmp_path, tiny_run):
    folder = project(tmp_path / "plans", tiny_run)
    picks = planned(folder, "picks")
    assert {"autopick", "cryosparc_picks", "link_micrographs"} <= picks
    assert not {"extract", "join_particles", "probability_maps", "label_maps"} & picks
    everything = planned(folder, "all")
    assert {"extract", "join_particles", "autopick", "cryosparc_picks"} <= everything
    assert not {"probability_maps", "label_maps"} & everything


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory, tiny_run):
    """A run of the targets particles and maps, with the tables of what was left out."""
    folder = project(tmp_path_factory.mktemp("exchange") / "crisp", tiny_run)
    tables = ("results/new/quarantine.tsv", "results/new/half/dropped.tsv")
    run_snakemake("--cores", "2", "--configfile", "new.yaml", "--", "particles", "maps", *tables, cwd=folder)
    return folder / "results/new"


@pytest.mark.slow
def test_a_micrograph_without_ctf_stops_nothing_and_is_counted(exchanged):
    blocks = starfile.read(exchanged / "half/particles.star")
    particles = blocks["particles"].assign(micrograph=lambda t: t["rlnMicrographName"].str.extract(r"(simulated_\d+)"))
    picks = pd.concat(starfile.read(path) for path in sorted((exchanged / "half/picks").glob("*.star")))
    n_picks = picks["rlnMicrographName"].value_counts()
    assert particles["micrograph"].value_counts().to_dict() == n_picks.drop(STEMS[2]).to_dict()
    dropped = pd.read_csv(exchanged / "half/dropped.tsv", sep="\t").query("stage == 'extraction'")
    assert dropped[["reason", "micrograph", "n_picks"]].to_numpy().tolist() == [
        ["micrograph without CTF", STEMS[2], n_picks[STEMS[2]]]
    ]
    refused = pd.read_csv(exchanged / "quarantine.tsv", sep="\t").query("stage == 'ctf'")
    assert len(refused) == 1 and STEMS[2] in refused["path"].iloc[0]
    assert refused["reason"].iloc[0].startswith("ctf.star: has no line for it, so its picks give no particle images")


@pytest.mark.slow
def test_particles_carry_the_ctf_and_optics_groups_of_their_micrographs(exchanged):
    blocks = starfile.read(exchanged / "half/particles.star")
    optics = blocks["optics"].set_index("rlnOpticsGroup")
    # in the file, every other micrograph is of the group `early`; the first particles are of the group `late`
    assert optics["rlnOpticsGroupName"].to_dict() == {1: "late", 2: "early"}
    assert optics["rlnVoltage"].tolist() == [200, 120] and optics["rlnSphericalAberration"].tolist() == [2.7, 2.7]
    group_of = dict(zip(WITH_CTF, [2, 1, 2, 1], strict=True))
    for row in blocks["particles"].itertuples():
        stem = re.search(r"simulated_\d+", row.rlnMicrographName)[0]
        assert (row.rlnDefocusU, row.rlnOpticsGroup) == (1e4 + int(stem[-1]), group_of[stem])
    stacks = {name.split("@")[1] for name in blocks["particles"]["rlnImageName"]}
    for stack in stacks:
        with mrcfile.open(exchanged.parents[1] / stack, header_only=True) as mrc:
            assert int(mrc.header.mode) == 12


@pytest.mark.slow
def test_the_ctf_files_names_are_those_of_the_selection_and_of_the_verdicts(exchanged):
    selected = starfile.read(exchanged / "half/micrographs_selected.star")["micrographs"]
    assert selected["rlnMicrographName"].tolist() == [f"J3/{UID}{stem}.mrc" for stem in WITH_CTF]
    verdicts = pd.read_csv(exchanged / "half/curation.tsv", sep="\t").set_index("micrograph")
    defocus = verdicts["defocus_angstrom"]
    assert defocus[WITH_CTF].tolist() == [(1e4 + int(stem[-1]) + 9e3) / 2 for stem in WITH_CTF]
    assert defocus.drop(WITH_CTF).isna().all()


@pytest.mark.slow
def test_a_ctf_file_that_grows_makes_again_only_the_batches_of_its_new_lines(exchanged):
    folder = exchanged.parents[1]
    before = (folder / "ctf.star").read_bytes()
    write_ctf(folder / "ctf.star", [*WITH_CTF, STEMS[2], "tomorrow_9"])
    output = run_snakemake("-n", "--configfile", "new.yaml", "--", "particles", cwd=folder).stdout
    (folder / "ctf.star").write_bytes(before)
    counts = dict(re.findall(r"^(\w+) +(\d+)$", output, re.M))
    assert counts == {
        "import_ctf": "1",
        # the verdict takes the quality of the CTF fit
        "measure_micrographs": "1",
        "curate": "1",
        "summarise_micrographs": "1",
        "extract": "1",
        "join_particles": "1",
        "select_star": "1",
        "particles": "1",
        "total": "8",
    }
    assert "batch=0000" in output and "batch=0001" not in output


@pytest.mark.slow
def test_cryosparc_gets_coordinates_and_its_own_picks(exchanged):
    listed = starfile.read(exchanged / "half/coordinates_only.star")
    picks = pd.concat(starfile.read(path) for path in sorted((exchanged / "half/picks").glob("*.star")))
    np.testing.assert_array_equal(listed["rlnCoordinateX"], picks["rlnCoordinateX"])
    rows = np.load(exchanged / "half/cryosparc/picks.cs")
    exposed = picks[picks["rlnMicrographName"].isin(EXPOSED)]
    np.testing.assert_allclose(rows["location/center_x_frac"] * 224, exposed["rlnCoordinateX"], atol=1e-4)
    np.testing.assert_allclose((1 - rows["location/center_y_frac"]) * 192, exposed["rlnCoordinateY"], atol=1e-4)
    assert rows["location/micrograph_uid"].tolist() == [
        70 + EXPOSED.index(name) for name in exposed["rlnMicrographName"]
    ]
    assert f"num_items: {len(exposed)}" in (exchanged / "half/cryosparc/picks.csg").read_text()
    names = pd.read_csv(exchanged / "half/cryosparc/names.tsv", sep="\t", keep_default_na=False).set_index("name")
    expected = {stem: f"J2/{UID}{stem}.mrc" for stem in EXPOSED} | {STEMS[4]: ""}
    assert names["micrograph"].to_dict() == expected


@pytest.mark.slow
def test_maps_are_valid_mrc_files_in_the_micrographs_row_order(exchanged):
    for folder, mode in (("half/maps", 12), ("half/class_maps", 0), ("label_maps", 0)):
        paths = sorted((exchanged / folder).glob("*.mrc"))
        assert [path.stem for path in paths] == STEMS
        for path in paths:
            assert mrcfile.validate(path)
            with mrcfile.open(path) as mrc:
                header = mrc.header
                assert (int(header.mode), bytes(header.map), header.machst.tolist()) == (mode, b"MAP ", [68, 68, 0, 0])
                assert (int(header.mapc), int(header.mapr), int(header.maps)) == (1, 2, 3)
    for batch, stems in (("0000", STEMS[:3]), ("0001", STEMS[3:])):
        for stem in stems:
            probability = read_array(exchanged / f"half/probability/{batch}.h5", "probability", stem)
            with mrcfile.open(exchanged / f"half/maps/{stem}.mrc") as mrc:
                np.testing.assert_array_equal(mrc.data, probability.data)
                assert mrc.voxel_size.x == mrc.voxel_size.y == pytest.approx(probability.pixel_size, rel=1e-6)
            label = read_array(exchanged / f"labels/{batch}.h5", "label", stem).data
            valid = read_array(exchanged / f"images/{batch}.h5", "valid", stem).data
            exported = mrcfile.read(exchanged / f"label_maps/{stem}.mrc")
            assert 0 < (~valid).sum() < valid.size and (exported[~valid] == -1).all()
            np.testing.assert_array_equal(exported[valid], label[valid])
            classes = mrcfile.read(exchanged / f"half/class_maps/{stem}.mrc")
            np.testing.assert_array_equal(classes, np.where(valid, probability.data >= 0.5, -1))
            shares = pd.read_csv(exchanged / "half/class_shares.tsv", sep="\t").set_index("micrograph").loc[stem]
            assert shares["particle_share"] == pytest.approx((classes[valid] == 1).mean(), abs=1e-5)
            assert np.isnan(shares["carbon_share"])
            assert shares["empty_share"] + shares["particle_share"] == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("ctf.star", b"data_micrographs\n\nloop_\n_rlnMicrographName #1\nx.mrc\n", "has no column rlnDefocusU; export"),
        ("exposures.cs", b"no array", "is not a cryoSPARC .cs file; export the"),
    ],
)
def test_a_bad_file_of_ctf_or_exposures_ends_the_run_before_any_job(tmp_path, tiny_run, file, content, message):
    folder = project(tmp_path / "bad", tiny_run)
    (folder / file).write_bytes(content)
    done = run_snakemake("--cores", "1", "--configfile", "new.yaml", cwd=folder, check=False)
    assert done.returncode == 1 and done.stdout.splitlines()[-1].startswith(f"error: {file}: {message}")
    assert not (folder / "results").exists()


@pytest.mark.slow
def test_a_ctf_file_of_other_micrographs_ends_the_run_before_any_job(tmp_path, tiny_run):
    folder = project(tmp_path / "other", tiny_run)
    write_ctf(folder / "ctf.star", ["other1", "other2"])
    done = run_snakemake("--cores", "1", "--configfile", "new.yaml", cwd=folder, check=False)
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 1 and last.startswith(
        f"error: ctf.star: none of 2 names matches a micrograph: '{UID}other1'"
    )
