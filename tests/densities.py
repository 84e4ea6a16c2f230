"""Densities and the contrast transfer function, as the tests expect them."""

import numpy as np


def ball(n, radius, centre=(0.0, 0.0, 0.0), softness=0.8):
    """Soft ball around voxel n // 2, moved by `centre` = (x, y, z)."""
    z, y, x = np.mgrid[:n, :n, :n] - n // 2
    distance = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2)
    return (1 / (1 + np.exp((distance - radius) / softness))).astype(np.float32)


def contrast_transfer(s, defocus, *, amplitude=0.1, phase_deg=0.0):
    """Formula of RELION's ctf.cpp, for frequencies in 1/Å: -sin(K1 Δ s² + K2 s⁴ - K5 - K3), Δ = -defocus."""
    volts = 300e3
    wavelength = 12.2643247 / np.sqrt(volts * (1 + volts * 0.978466e-6))
    k1, k2 = np.pi * wavelength, np.pi / 2 * 2.7e7 * wavelength**3
    k3 = np.arctan(amplitude / np.sqrt(1 - amplitude**2))
    return -np.sin(k1 * -defocus * s**2 + k2 * s**4 - np.radians(phase_deg) - k3)
