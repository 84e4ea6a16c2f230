import pytest

from crisp_core.errors import UserError
from crisp_core.settings.checks import check_settings
from crisp_core.settings.external_job import external_config, run_workflow

ENTRY = {"micrographs": ["J1/a.mrc"], "pixel_size": 1.06, "exposures": "exposures.cs", "voltage_kv": 200.0}


@pytest.mark.parametrize("particles", [None, "particles.cs"])
def test_the_config_of_an_external_job_is_valid_and_picks_without_particle_images(particles):
    settings = check_settings(external_config(ENTRY, diameter_angstrom=150.0, particles=particles))
    assert settings.run == ["exposures/crisp"]
    dataset, experiment = settings.datasets["exposures"], settings.experiments["crisp"]
    assert (dataset.pixel_size, dataset.voltage_kv, dataset.exposures) == (1.06, 200, "exposures.cs")
    assert not experiment.particles.extract
    # the general network needs no coordinates; without it the job trains on those of the exposures
    assert (experiment.network == "general") == (particles is None) == (dataset.coordinates is None)


def test_a_run_that_fails_is_one_line_and_further_config_files_take_precedence(tmp_path, monkeypatch):
    monkeypatch.setattr("crisp_core.settings.external_job.SNAKEFILE", tmp_path / "Snakefile")
    (tmp_path / "Snakefile").write_text('rule picks:\n    shell: "echo called > seen; exit {config[status]}"\n')
    (tmp_path / "more.yaml").write_text("status: 1\n")
    with pytest.raises(UserError, match=r"the workflow failed; correct what its last message names"):
        run_workflow({"status": 0}, tmp_path, target="picks", cores=1, configfiles=[tmp_path / "more.yaml"])
    assert (tmp_path / "seen").exists()
