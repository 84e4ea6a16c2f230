"""Public datasets by name, from a server on this machine to a config that the settings accept."""

import logging
from pathlib import Path

import pytest
import yaml

from crisp_core.datasets.cryoppp import published_particle
from crisp_core.errors import UserError
from crisp_core.formats import large_downloads
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.settings.checks import check_settings
from crisp_core.settings.public_data import main, public_datasets, with_public_data
from tests.public_server import STAR, addresses, cryoppp_files, packed, serve_empiar, serving

NAMES = ["Falcon_14", "Falcon_15", "Falcon_16", "Falcon_17"]
TABLES = {name: f"X-Coordinate,Y-Coordinate,Diameter\n{10 + i},20,108\n30,40,108\n" for i, name in enumerate(NAMES)}
OPTICS = {"voltage_kv": 300.0, "spherical_aberration_mm": 2.7}


def jpgs(names):
    return {f"{name}.jpg": name.encode() * 5000 for name in names}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(large_downloads, "CHUNK_BYTES", 2**10)
    with serving() as server:
        # a micrograph without coordinates, too
        files = cryoppp_files("10017", jpgs([*NAMES, "Falcon_13"]), TABLES)
        server.files["/cryoppp_lite/10017.tar.gz"] = packed(files)
        yield server


@pytest.fixture
def config(server, tmp_path):
    """Config with one dataset of the given keys, and the downloads of the server."""

    def of(**entry):
        return {
            "run": ["x/general"],
            "downloads": addresses(server, tmp_path / "downloads"),
            "datasets": {"x": entry},
            "experiments": {"general": {"network": "general", "particles": {"extract": False}}},
        }

    return of


@pytest.fixture
def download(tmp_path):
    def of(config):
        path = tmp_path / "my-data.yaml"
        path.write_text(yaml.safe_dump(config))
        main([str(path)])

    return of


def test_a_dataset_of_cryoppp_by_its_number(config, download, server, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="crisp")
    given = config(cryoppp=10017, micrographs_count=2)
    cure = "run python -m crisp_core.settings.public_data with your config file first"
    with pytest.raises(UserError, match=f"^config, datasets/x/cryoppp: CryoPPP 10017 is not downloaded yet; {cure}$"):
        with_public_data(given)
    assert not server.requested
    server.breaks["/cryoppp_lite/10017.tar.gz"] = [2000]
    download(given)
    assert caplog.messages[0].startswith("CryoPPP 10017: 1 files, 0.00 GB, into")
    assert caplog.messages[-1] == f"1 public datasets are in {tmp_path}/downloads"
    folder = tmp_path / "downloads/cryoppp/10017"
    assert sorted(path.name for path in (folder / "micrographs").iterdir()) == ["Falcon_14.jpg", "Falcon_15.jpg"]
    settings = check_settings(with_public_data(given))
    dataset = settings.datasets["x"]
    assert dataset.micrographs == [f"{folder}/micrographs/{name}.jpg" for name in NAMES[:2]]
    assert (dataset.pixel_size, dataset.voltage_kv, dataset.spherical_aberration_mm) == (1.77, 300, 2.7)
    # 108 px
    assert dataset.particle_diameter_angstrom == 191.2
    assert dataset.coordinates.origin == "top-left"
    assert [len(read_coordinates(path, format="cryoppp")) for path in dataset.coordinates.files] == [2, 2]
    assert "cryoppp" not in settings.plain()["datasets"]["x"]


def test_more_micrographs_come_from_the_kept_archive_and_nothing_is_downloaded_twice(
    config, download, server, tmp_path
):
    download(config(cryoppp=10017, micrographs_count=1))
    n = len(server.requested)
    with pytest.raises(UserError, match=r"has 1 of 3 wanted micrographs with coordinates; download the others"):
        with_public_data(config(cryoppp=10017, micrographs_count=3))
    download(config(cryoppp=10017, micrographs_count=3))
    download(config(cryoppp=10017, micrographs_count=2))
    assert len(with_public_data(config(cryoppp=10017, micrographs_count=3))["datasets"]["x"]["micrographs"]) == 3
    assert len(server.requested) == n
    with pytest.raises(UserError, match="has 4 of 9 wanted"):
        download(config(cryoppp=10017))
        with_public_data(config(cryoppp=10017, micrographs_count=9))


def test_a_damaged_archive_is_named(config, download, server, tmp_path):
    path = "/cryoppp_lite/10017.tar.gz"
    server.files[path] = server.files[path][:-500]
    with pytest.raises(
        SystemExit, match=r"^error: .*/cryoppp/10017\.tar\.gz: is damaged \(.*\); delete it, and download"
    ):
        download(config(cryoppp=10017))
    with pytest.raises(SystemExit, match=r"10018\.tar\.gz: the server has no such file \(404\); check the id"):
        download(config(cryoppp=10018))


def write_folder(folder, files):
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder


def test_a_folder_that_is_already_there(config, tmp_path):
    folder = write_folder(tmp_path, cryoppp_files("10017", jpgs(NAMES), TABLES)) / "10017"
    dataset = with_public_data(config(cryoppp=str(folder), pixel_size=1.8, split={"train": 2}))["datasets"]["x"]
    assert len(dataset["micrographs"]) == 4 and dataset["split"] == {"train": 2}
    # values of the config take precedence
    assert (dataset["pixel_size"], dataset["particle_diameter_angstrom"]) == (1.8, 194.4)
    with pytest.raises(UserError, match=r"has no ground_truth/particle_coordinates/\*\.csv; give the folder of one"):
        with_public_data(config(cryoppp=str(tmp_path)))
    with pytest.raises(UserError, match="datasets/x/cryoppp: /nowhere is not a folder; give the folder of an entry"):
        with_public_data(config(cryoppp="/nowhere"))


def test_a_dataset_that_extends_a_public_one_remembers_it(config, tmp_path):
    folder = write_folder(tmp_path, cryoppp_files("10017", jpgs(NAMES), TABLES)) / "10017"
    given = config(cryoppp=str(folder))
    # corrections of x are taken for a dataset that extends it
    given["datasets"] |= {"fewer": {"extend": "x", "split": {"train": 1}}}
    # with another format, inheriting once more would add the origin of x
    given["datasets"] |= {"own": {"extend": "x", "coordinates": {"files": "a.box", "format": "eman"}}}
    datasets = with_public_data(given)["datasets"]
    assert datasets["fewer"]["extend"] == "x" and "extend" not in datasets["own"] and "extend" not in datasets["x"]
    settings = check_settings(
        with_public_data({**given, "datasets": {key: given["datasets"][key] for key in ("x", "fewer")}})
    )
    assert settings.datasets["fewer"].split.train == 1 and settings.datasets["fewer"].pixel_size == 1.77


def test_y_counts_from_the_last_row_of_mrc_files_and_mixed_files_are_refused(config, tmp_path):
    files = cryoppp_files("10017", {f"{name}.mrc": b"x" for name in NAMES}, TABLES)
    folder = write_folder(tmp_path, files) / "10017"
    dataset = with_public_data(config(cryoppp=str(folder)))["datasets"]["x"]
    assert dataset["coordinates"]["origin"] == "bottom-left"
    (folder / "micrographs/Falcon_17.mrc").rename(folder / "micrographs/Falcon_17.jpg")
    with pytest.raises(UserError, match="the row order of these micrographs is unknown, since they are not all MRC or"):
        with_public_data(config(cryoppp=str(folder)))
    dataset = with_public_data(config(cryoppp=str(folder), coordinates={"origin": "top-left"}))["datasets"]["x"]
    assert dataset["coordinates"]["origin"] == "top-left" and dataset["coordinates"]["format"] == "cryoppp"


def test_coordinates_of_the_config_take_neither_format_nor_origin_of_cryoppp(config, tmp_path):
    files = cryoppp_files("10017", {f"{name}.mrc": b"x" for name in NAMES}, TABLES)
    folder = write_folder(tmp_path, files) / "10017"
    own = {"files": "mine/*.star", "format": "relion"}
    assert with_public_data(config(cryoppp=str(folder), coordinates=own))["datasets"]["x"]["coordinates"] == own


def test_a_description_of_empiar_that_is_a_page_is_named(config, tmp_path):
    write_folder(tmp_path / "downloads", {"empiar/10017/entry.json": b"<html>maintenance</html>"})
    with pytest.raises(UserError, match=r"entry\.json: is not EMPIAR's description of the entry; delete it"):
        with_public_data(config(empiar=10017))


def test_values_that_nobody_states_must_be_given(config, tmp_path):
    folder = write_folder(tmp_path, cryoppp_files("10017", jpgs(NAMES), TABLES, star=None)) / "10017"
    missing = "pixel_size, voltage_kv, spherical_aberration_mm, particle_diameter_angstrom"
    hint = r"\(the published diameters suggest about 1\.76 Å/px\); look them up, and give them"
    with pytest.raises(UserError, match=f"10017 does not state {missing} {hint}$"):
        with_public_data(config(cryoppp=str(folder)))
    dataset = with_public_data(config(cryoppp=str(folder), pixel_size=1.77, **OPTICS))["datasets"]["x"]
    assert dataset["particle_diameter_angstrom"] == 191.2


def test_a_pixel_size_that_the_published_diameters_contradict_is_refused(config, tmp_path):
    star = STAR.replace("1.770000", "0.673000")
    files = cryoppp_files(
        "10345", jpgs(NAMES), {name: text.replace("108", "149") for name, text in TABLES.items()}, star=star
    )
    folder = write_folder(tmp_path, files) / "10345"
    message = (
        r"pixel_size: CryoPPP's star file states 0\.673 Å/px, and the diameters published by CryoPPP suggest 1\.34"
    )
    with pytest.raises(UserError, match=message):
        with_public_data(config(cryoppp=str(folder)))
    assert with_public_data(config(cryoppp=str(folder), pixel_size=1.346))["datasets"]["x"]["pixel_size"] == 1.346


def test_micrographs_of_empiar_by_the_number_of_the_entry(config, download, server, tmp_path):
    files = {f"{name}.mrc": name.encode() * 500 for name in NAMES} | {"Falcon_14.coord": b"1 2\n", "notes.txt": b""}
    serve_empiar(server, "10017", files)
    given = config(empiar=10017, micrographs_count=3, **OPTICS)
    with pytest.raises(UserError, match="datasets/x/empiar: EMPIAR-10017 is not downloaded yet; run python -m"):
        with_public_data(given)
    download(given)
    folder = tmp_path / "downloads/empiar/10017/data"
    dataset = check_settings(with_public_data(given)).datasets["x"]
    assert dataset.micrographs == [f"{folder}/{name}.mrc" for name in NAMES[:3]]
    assert (folder / "Falcon_14.mrc").read_bytes() == files["Falcon_14.mrc"]
    # the diameter is that of CryoPPP's table
    assert (dataset.pixel_size, dataset.particle_diameter_angstrom, dataset.coordinates) == (1.77, 190, None)
    with pytest.raises(UserError, match="3 of 4 micrographs of EMPIAR-10017 are downloaded; run python -m"):
        with_public_data(config(empiar=10017, **OPTICS))
    with pytest.raises(
        UserError, match="empiar 10017 does not state voltage_kv, spherical_aberration_mm; look them up"
    ):
        with_public_data(config(empiar=10017, micrographs_count=3))


def test_micrographs_of_empiar_with_the_coordinates_of_cryoppp(config, download, server, tmp_path):
    serve_empiar(server, "10017", {f"{name}.mrc": b"m" * 900 for name in ["Falcon_13", *NAMES]})
    given = config(cryoppp=10017, empiar=10017, micrographs_count=2)
    download(given)
    dataset = check_settings(with_public_data(given)).datasets["x"]
    assert [Path(path).name for path in dataset.micrographs] == ["Falcon_14.mrc", "Falcon_15.mrc"]
    assert dataset.coordinates.origin == "bottom-left" and (dataset.voltage_kv, dataset.pixel_size) == (300, 1.77)
    assert not (tmp_path / "downloads/cryoppp/10017/micrographs").exists()


def test_a_pixel_size_of_empiar_is_compared_too_and_an_impossible_one_is_refused(config, download, server):
    serve_empiar(server, "10017", {"Falcon_14.mrc": b"m"}, pixel_size="0.885")
    download(config(empiar=10017))
    with pytest.raises(
        UserError, match=r"pixel_size: EMPIAR states 0\.885 Å/px, and the diameters published by CryoPPP"
    ):
        with_public_data(config(empiar=10017, **OPTICS))
    with pytest.raises(UserError, match=r"datasets/x/pixel_size: '1\.77' is text, not a number"):
        check_settings(with_public_data(config(empiar="10017/data", pixel_size="1.77", **OPTICS)))


def test_an_entry_of_movies_or_of_several_sets_needs_a_directory(config, download, server):
    serve_empiar(server, "10028", {"001.mrc": b"m"}, directory="data/part1", category="micrographs - multiframe")
    with pytest.raises(
        SystemExit, match=r"10028 has 0 image sets of motion-corrected micrographs \(none\); give one with"
    ):
        download(config(empiar=10028, **OPTICS))
    download(config(empiar="10028/data/part1", **OPTICS))
    dataset = with_public_data(config(empiar="10028/data/part1", pixel_size=1.34, **OPTICS))["datasets"]["x"]
    assert Path(dataset["micrographs"][0]).parts[-3:] == ("data", "part1", "001.mrc")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"micrographs_count": 3}, "works only with cryoppp or empiar; give one of them, or leave it out"),
        ({"cryoppp": 1.5}, r"datasets/x/cryoppp: 1\.5 is not an entry; give its number, such as 10017"),
        (
            {"empiar": 10017, "micrographs": "*.mrc"},
            "empiar and micrographs are two sources of micrographs; remove one",
        ),
        ({"empiar": 10017, "micrographs_count": 0}, "micrographs_count: 0 is not a number of micrographs; give one"),
    ],
)
def test_keys_that_contradict_each_other(entry, message):
    with pytest.raises(UserError, match=message):
        list(public_datasets({"datasets": {"x": entry}}))


def test_a_config_without_public_data_stays_as_it_is():
    given = {"datasets": {"x": {"micrographs": "*.mrc"}, "y": None}}
    assert with_public_data(given) is given


def test_published_sizes():
    assert published_particle("10017").pixel_size == pytest.approx(1.77, rel=0.01)
    assert published_particle("11056").pixel_size is None and published_particle("1") is None


@pytest.mark.parametrize("content", ["- a\n- b\n", "words alone\n", "datasets: {\n"])
def test_a_file_that_is_no_config_is_one_line(content, tmp_path):
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(SystemExit, match=r"^error: \S+mine\.yaml: is not (a config file|YAML)"):
        main([str(tmp_path / "mine.yaml")])
