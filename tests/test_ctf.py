import numpy as np
import pytest

from crisp_core.ctf import ctf, electron_wavelength_angstrom
from tests.densities import contrast_transfer

OPTICS = {"voltage_kv": 300.0, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1}


@pytest.mark.parametrize(("voltage", "angstrom"), [(100, 0.037014), (200, 0.025079), (300, 0.019687)])
def test_wavelength_is_the_textbooks(voltage, angstrom):
    assert electron_wavelength_angstrom(voltage) == pytest.approx(angstrom, rel=1e-4)


@pytest.mark.parametrize("phase", [0.0, 90.0])
def test_ctf_is_relions_formula_along_each_axis(phase):
    values = ctf(
        (60, 80), pixel_size=2.0, defocus_u_angstrom=21000, defocus_v_angstrom=15000, defocus_angle_deg=0,
        phase_shift_deg=phase, **OPTICS,
    )  # fmt: skip
    s_x, s_y = np.fft.rfftfreq(80, 2.0), np.fft.fftfreq(60, 2.0)
    assert values.shape == (60, 41)
    np.testing.assert_allclose(values[0], contrast_transfer(s_x, 21000, phase_deg=phase), atol=1e-5)
    np.testing.assert_allclose(values[:, 0], contrast_transfer(s_y, 15000, phase_deg=phase), atol=1e-5)


def test_ctf_starts_at_the_amplitude_contrast_and_rises_in_underfocus():
    values = ctf(
        (512, 512), pixel_size=7.08, defocus_u_angstrom=2e4, defocus_v_angstrom=2e4, defocus_angle_deg=0, **OPTICS
    )
    assert values[0, 0] == pytest.approx(0.1)
    assert values[0, 1] > values[0, 0]


def test_astigmatism_turns_from_x_to_y_in_row_order():
    n = 64
    options = {"pixel_size": 3.0, "defocus_u_angstrom": 26000, "defocus_v_angstrom": 14000, **OPTICS}
    values = ctf((n, n), defocus_angle_deg=45, **options)
    diagonal = np.arange(n // 2)
    s = np.fft.rfftfreq(n, 3.0)[: n // 2] * np.sqrt(2)
    np.testing.assert_allclose(values[diagonal, diagonal], contrast_transfer(s, 26000), atol=1e-4)
    np.testing.assert_allclose(values[-diagonal[1:], diagonal[1:]], contrast_transfer(s[1:], 14000), atol=1e-4)


def test_rows_of_the_ctf_are_rows_of_the_whole():
    options = {
        "pixel_size": 3.0,
        "defocus_u_angstrom": 2e4,
        "defocus_v_angstrom": 1e4,
        "defocus_angle_deg": 30,
        **OPTICS,
    }
    np.testing.assert_array_equal(ctf((20, 30), rows=slice(4, 9), **options), ctf((20, 30), **options)[4:9])
