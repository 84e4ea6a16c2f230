"""The contrast transfer function of the microscope."""

import numpy as np
import scipy.fft

from crisp_core.geometry import FFT_THREADS, Shape

ROWS_PER_STEP = 256

# Limits of a micrograph's CTF; values beyond them have another unit (micrometres, volts) or sign.
DEFOCUS_ANGSTROM = (100.0, 200_000.0)
ANGLE_DEG = (-360.0, 360.0)
VOLTAGE_KV = (10.0, 3000.0)
SPHERICAL_ABERRATION_MM = (0.0, 20.0)
AMPLITUDE_CONTRAST = (0.0, 1.0)


def electron_wavelength_angstrom(voltage_kv: float) -> float:
    """Relativistic wavelength of an electron in Å (0.0197 at 300 kV)."""
    volts = 1e3 * voltage_kv
    return 12.2643247 / np.sqrt(volts * (1 + 0.978466e-6 * volts))


def ctf_spread_px(pixel_size: float, voltage_kv: float, defocus_angstrom: float) -> int:
    """How far the CTF moves the finest detail (Nyquist), in px: wavelength × defocus × frequency.

    Parameters
    ----------
    pixel_size : float
        Pixel size, in Å/px.
    voltage_kv : float
        Acceleration voltage, in kV.
    defocus_angstrom : float
        Defocus, in Å; its sign is ignored.
    """
    wavelength = electron_wavelength_angstrom(voltage_kv)
    return int(np.ceil(wavelength * abs(defocus_angstrom) / (2 * pixel_size) / pixel_size))


def ctf(
    shape: Shape,
    *,
    pixel_size: float,
    voltage_kv: float,
    spherical_aberration_mm: float,
    amplitude_contrast: float,
    defocus_u_angstrom: float,
    defocus_v_angstrom: float,
    defocus_angle_deg: float,
    phase_shift_deg: float = 0.0,
    rows: slice = slice(None),
) -> np.ndarray:
    """Contrast transfer function on the half-plane of `rfft2`, with RELION's sign.

    sin(π λ Δf s² − π/2 Cs λ³ s⁴ + φ + arcsin A): positive at low frequency in underfocus, A at 0. An image with dark
    protein is minus this times the projection.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image.
    pixel_size : float
        Å/px.
    voltage_kv, spherical_aberration_mm, amplitude_contrast : float
        kV, mm, fraction.
    defocus_u_angstrom, defocus_v_angstrom : float
        Along and across the axis at `defocus_angle_deg`, Å, underfocus positive.
    defocus_angle_deg : float
        From the x axis towards the y axis (down, in row order).
    phase_shift_deg : float
        Of a phase plate.
    rows : slice
        Rows of the half-plane to return, all by default.

    Returns
    -------
    (h, w // 2 + 1) float32 array

    References
    ----------
    RELION 3.1 and later, `ctf.cpp`; Rohou & Grigorieff 2015, J. Struct. Biol. 192:216, eq. 2 to 7.
    """
    fy = scipy.fft.fftfreq(shape[0], pixel_size)[rows, None]
    fx = scipy.fft.rfftfreq(shape[1], pixel_size)[None]
    wavelength = electron_wavelength_angstrom(voltage_kv)
    aberration = np.pi / 2 * 1e7 * spherical_aberration_mm * wavelength**3
    mean, half = (defocus_u_angstrom + defocus_v_angstrom) / 2, (defocus_u_angstrom - defocus_v_angstrom) / 2
    angle = np.radians(2 * defocus_angle_deg)
    # Δf s², with cos 2(θ − θ₀) written in the frequencies, which is quicker than their angle.
    defocus = (mean + half * np.cos(angle)) * fx**2 + (mean - half * np.cos(angle)) * fy**2
    defocus = defocus + 2 * half * np.sin(angle) * fx * fy
    phase = np.pi * wavelength * defocus - aberration * (fx**2 + fy**2) ** 2
    return np.sin(phase + np.radians(phase_shift_deg) + np.arcsin(amplitude_contrast)).astype(np.float32)


def defocus_fault(defocus_angstrom: float) -> str | None:
    """Fault of a defocus in Å (underfocus positive), and the cure; None where it is possible."""
    low, high = DEFOCUS_ANGSTROM
    if not np.isfinite(defocus_angstrom):
        return "is not a number; estimate the CTF again, or remove the line"
    if defocus_angstrom < 0:
        return f"is {defocus_angstrom:g} Å, which is overfocus (RELION counts underfocus as positive); change the sign"
    if defocus_angstrom < low:
        return f"is {defocus_angstrom:g} Å; if these are micrometres, multiply by 10000, else estimate the CTF again"
    if defocus_angstrom > high:
        return f"is {defocus_angstrom:g} Å, more than {high:g}; give it in Å, or estimate the CTF again"
    return None


def angle_fault(angle_deg: float) -> str | None:
    """Fault of an angle or a phase shift in degrees, and the cure; None where it is possible."""
    low, high = ANGLE_DEG
    if not np.isfinite(angle_deg):
        return "is not a number; estimate the CTF again, or remove the line"
    if not low <= angle_deg <= high:
        return f"is {angle_deg:g}, which is no angle in degrees from {low:g} to {high:g}; correct it"
    return None


def through_ctf(image: np.ndarray, **optics: float) -> np.ndarray:
    """Multiply the transform of an image (h, w) by `ctf` with the given options; float32, periodic."""
    spectrum = scipy.fft.rfft2(image.astype(np.float32, copy=False), workers=FFT_THREADS)
    for start in range(0, image.shape[0], ROWS_PER_STEP):
        rows = slice(start, start + ROWS_PER_STEP)
        spectrum[rows] *= ctf(image.shape, rows=rows, **optics)
    return scipy.fft.irfft2(spectrum, s=image.shape, workers=FFT_THREADS, overwrite_x=True)
