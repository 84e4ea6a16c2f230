"""The external job, with the controllers and datasets of cryosparc-tools and a stand-in for the server's answers."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

from crisp_core.datasets.quarantine import Refused, write_quarantine
from crisp_core.errors import UserError
from crisp_core.external.job_folder import locked
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.coordinates.table import coordinates_table
from crisp_core.formats.cryosparc_job import exposures_entry, fill_output
from crisp_core.formats.cryosparc_picks import PICK_FIELDS, write_picks
from tests.conftest import ROOT

pytest.importorskip("cryosparc", reason="cryosparc-tools is not installed: pip install '.[cryosparc]'")
from cryosparc.controllers.job import ExternalJobController
from cryosparc.dataset import Dataset
from cryosparc.models.job_spec import OutputSpec

# particles that a picker of cryoSPARC made: cryosparc-tools 5, tests/test_dataset.py
DEMANDED = [
    ("location/micrograph_uid", "<u8"),
    ("location/exp_group_id", "<u4"),
    ("location/micrograph_path", "|O"),
    ("location/micrograph_shape", "<u4", (2,)),
    ("location/center_x_frac", "<f4"),
    ("location/center_y_frac", "<f4"),
    ("pick_stats/ncc_score", "<f4"),
    ("pick_stats/power", "<f4"),
    ("pick_stats/template_idx", "<u4"),
    ("pick_stats/angle_rad", "<f4"),
]
EXPOSURES = [
    ("micrograph_blob/path", "|O"),
    ("micrograph_blob/shape", "<u4", (2,)),
    ("micrograph_blob/psize_A", "<f4"),
    ("mscope_params/exp_group_id", "<u4"),
    ("mscope_params/accel_kv", "<f4"),
    ("mscope_params/cs_mm", "<f4"),
]


@pytest.fixture
def exposures():
    """Exposures as cryosparc-tools hands them to a job, with blanks and accents in a path."""
    dataset = Dataset.allocate(2, EXPOSURES)
    dataset["micrograph_blob/path"] = ["J1/imported/m1.mrc", "J1/imported/mé 2.mrc"]
    dataset["micrograph_blob/shape"] = [[300, 400], [100, 200]]
    dataset["micrograph_blob/psize_A"] = 1.06
    dataset["mscope_params/exp_group_id"] = [3, 4]
    dataset["mscope_params/accel_kv"] = 200
    dataset["mscope_params/cs_mm"] = 2.7
    return dataset


class Jobs:
    """Stand-in for the part of the server that answers for one external job."""

    def __init__(self, demanded=DEMANDED):
        self.demanded, self.saved, self.outputs = demanded, {}, {}

    def find_one(self, project, job):
        return SimpleNamespace(spec=SimpleNamespace(type="snowflake"), project_uid=project, uid=job)

    def add_external_output(self, project, job, name, spec):
        assert isinstance(spec, OutputSpec)
        self.outputs[name] = spec
        return self.find_one(project, job)

    def get_output_fields(self, project, job, name, parameters):
        return self.demanded

    def save_output(self, project, job, name, dataset, version):
        self.saved[name] = dataset
        return self.find_one(project, job)


def external_job(jobs):
    return ExternalJobController(SimpleNamespace(api=SimpleNamespace(jobs=jobs)), ("P3", "J9"))


@pytest.fixture
def picks(exposures, tmp_path):
    exposures.save(tmp_path / "exposures.cs")
    table = coordinates_table(["m1", "mé 2"], [20, 20], [37.5, 75], score=[0.5, 0.25])
    shapes = {"m1": (150, 200), "mé 2": (100, 200)}
    write_picks(tmp_path / "picks.cs", table, exposures=tmp_path / "exposures.cs", shapes=shapes)
    return np.load(tmp_path / "picks.cs")


def test_picks_fill_the_output_that_the_server_demands(exposures, picks):
    jobs = Jobs()
    job = external_job(jobs)
    job.add_output("particle", "picks", slots=["location", "pick_stats"])
    assert [(slot.name, slot.dtype) for slot in jobs.outputs["picks"].slots] == [
        ("location", "location"),
        ("pick_stats", "pick_stats"),
    ]
    output = job.alloc_output("picks", picks["uid"])
    assert fill_output(output, picks) == []
    job.save_output("picks", output)
    saved = jobs.saved["picks"]
    assert saved.descr() == [("uid", "<u8"), *DEMANDED]
    assert list(saved["uid"]) == list(picks["uid"]) and len(set(saved["uid"])) == 2
    assert list(saved["location/micrograph_uid"]) == list(exposures["uid"])
    assert list(saved["location/micrograph_path"]) == list(exposures["micrograph_blob/path"])
    assert saved["location/micrograph_shape"].tolist() == [[300, 400], [100, 200]]
    assert list(saved["location/exp_group_id"]) == [3, 4]
    np.testing.assert_allclose(saved["location/center_x_frac"], [0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(saved["location/center_y_frac"], [0.75, 0.25], rtol=1e-6)
    for score in ("ncc_score", "power"):
        np.testing.assert_array_equal(saved[f"pick_stats/{score}"], np.float32([0.5, 0.25]))


def test_the_file_of_picks_has_the_types_of_cryosparcs_own(picks, tmp_path):
    loaded = Dataset.load(tmp_path / "picks.cs").to_pystrs()
    described = {name: tuple(rest) for name, *rest in loaded.descr()}
    assert described.items() >= {name: tuple(rest) for name, *rest in DEMANDED}.items()
    assert set(described) == {name for name, *_ in PICK_FIELDS}
    np.testing.assert_allclose(loaded["location/micrograph_psize_A"], 1.06)


def test_particles_of_a_job_are_read_as_coordinates(exposures, picks, tmp_path):
    output = external_job(Jobs()).alloc_output("picks", picks["uid"])
    fill_output(output, picks)
    output.save(tmp_path / "particles.cs")
    back = read_coordinates(tmp_path / "particles.cs")
    assert list(back["micrograph"]) == ["m1", "mé 2"]
    np.testing.assert_allclose(back[["x", "y"]], [[40, 75], [20, 75]], atol=1e-4)


def test_unknown_fields_are_told_and_other_types_refused(picks):
    newer = [*DEMANDED, ("location/min_dist_A", "<f4")]
    output = external_job(Jobs(newer)).alloc_output("picks", picks["uid"])
    assert fill_output(output, picks) == ["location/min_dist_A"]
    changed = [field if field[0] != "location/micrograph_shape" else (field[0], "<u4", (3,)) for field in DEMANDED]
    output = external_job(Jobs(changed)).alloc_output("picks", picks["uid"])
    with pytest.raises(
        UserError, match=r"cryoSPARC: location/micrograph_shape is .* in this version and .* in CRISP's"
    ):
        fill_output(output, picks)


def test_exposures_describe_the_dataset(exposures, tmp_path):
    path = tmp_path / "exposures.cs"
    exposures.save(path)
    assert exposures_entry(path, project="/data/CS-p") == {
        "micrographs": ["/data/CS-p/J1/imported/m1.mrc", "/data/CS-p/J1/imported/mé 2.mrc"],
        "pixel_size": 1.06,
        "exposures": str(path),
        "voltage_kv": 200.0,
        "spherical_aberration_mm": 2.7,
    }
    exposures["micrograph_blob/psize_A"] = [1.06, 1.1]
    exposures.save(path)
    with pytest.raises(
        UserError, match=r"psize_A is 1\.06 in some exposures and 1\.1 in others; pick them in two jobs"
    ):
        exposures_entry(path, project=tmp_path)
    Dataset.allocate(0, EXPOSURES).save(path)
    with pytest.raises(UserError, match=r"exposures\.cs: has no exposures; connect an output of exposures"):
        exposures_entry(path, project=tmp_path)
    Dataset.allocate(1, EXPOSURES[:2]).save(path)
    with pytest.raises(UserError, match=r"has no field micrograph_blob/psize_A; connect an output"):
        exposures_entry(path, project=tmp_path)


def crisp_pick():
    """The script of the external job, as a module."""
    place = importlib.util.spec_from_file_location("crisp_pick", ROOT / "integrations/cryosparc/crisp_pick.py")
    script = importlib.util.module_from_spec(place)
    place.loader.exec_module(script)
    return script


def test_the_job_saves_its_picks_and_logs_what_it_could_not_pick(exposures, picks, tmp_path, monkeypatch):
    script, jobs, lines = crisp_pick(), Jobs(), []

    def run_workflow(folder, options, *, targets):
        assert targets[0] == "picks"
        for path in (folder / target for target in targets[1:]):
            path.parent.mkdir(parents=True, exist_ok=True)
            refused = [Refused("J1/bad.mrc", "prepare", "is empty")] if path.parent.name == "exposures" else []
            write_quarantine(path, [*refused, Refused("J1/m1.mrc", "ctf", "has no line")])
        (folder / "results/exposures/crisp/cryosparc").mkdir()
        np.save(open(folder / "results/exposures/crisp/cryosparc/picks.cs", "wb"), picks)

    monkeypatch.setattr(script, "run_workflow", run_workflow)
    job = external_job(jobs)
    job.add_output("particle", "picks", slots=["location", "pick_stats"])
    job.load_input = lambda name: exposures
    job.log = lambda line, level="text": lines.append((level, line))
    options = script.parser.parse_args("--project P3 --workspace W1 --exposures J5 e --diameter 150".split())
    options.folder = tmp_path / "crisp"
    script.pick(job, tmp_path, options)
    assert list(jobs.saved["picks"]["uid"]) == list(picks["uid"])
    assert lines == [("warning", "not picked: J1/bad.mrc: is empty")]
    with locked(tmp_path / "crisp"), pytest.raises(UserError, match="a job of CRISP is running in it"):
        script.pick(job, tmp_path, options)


def test_the_script_says_how_it_is_called(capsys):
    with pytest.raises(SystemExit, match="0"):
        crisp_pick().main(["--help"])
    assert "--exposures JOB OUTPUT" in capsys.readouterr().out
