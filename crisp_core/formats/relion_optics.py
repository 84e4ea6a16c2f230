"""RELION's optics table (block data_optics) of particles that CRISP writes.

Source: Zivanov et al. 2020, IUCrJ 7:253; RELION 3.1 and 5 source, `metadata_label.h`.
"""

import pandas as pd


def optics_table(
    *,
    voltage_kv: float,
    spherical_aberration_mm: float,
    amplitude_contrast: float,
    micrograph_pixel_size: float,
    pixel_size: float,
    box_px: int,
    groups: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Optics of particles.

    Parameters
    ----------
    voltage_kv : float
        Acceleration voltage of the microscope, in kV.
    spherical_aberration_mm : float
        Spherical aberration (Cs) of the microscope, in mm.
    amplitude_contrast : float
        Amplitude contrast, as a fraction.
    micrograph_pixel_size : float
        Å/px of the micrographs.
    pixel_size : float
        Å/px of the particle images.
    box_px : int
        Side of the particle images, in pixels.
    groups : pd.DataFrame, optional
        Optics groups of a `MicrographsCtf`: one row for each, with its number and name. Its voltage, Cs and amplitude
        contrast take precedence over the parameters above. Without it, one group.
    """
    table = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnOpticsGroup": [1],
            "rlnVoltage": [float(voltage_kv)],
            "rlnSphericalAberration": [float(spherical_aberration_mm)],
            "rlnAmplitudeContrast": [float(amplitude_contrast)],
            "rlnMicrographOriginalPixelSize": [float(micrograph_pixel_size)],
            "rlnImagePixelSize": [float(pixel_size)],
            "rlnImageSize": [int(box_px)],
            "rlnImageDimensionality": [2],
        }
    )
    if groups is None:
        return table
    return table.loc[[0] * len(groups)].reset_index(drop=True).assign(**{label: groups[label] for label in groups})
