import pytest

from crisp_core.external.cryosparc import external_config
from crisp_core.settings.checks import check_settings

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
