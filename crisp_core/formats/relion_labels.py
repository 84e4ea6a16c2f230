"""RELION's labels for the columns of CRISP's tables, with their units.

Source: Zivanov et al. 2020, IUCrJ 7:253 (optics groups); RELION 3.1 and 5 source, `metadata_label.h`.
"""

import numpy as np
import pandas as pd

X_LABEL, Y_LABEL = "rlnCoordinateX", "rlnCoordinateY"
SCORE_LABEL, NAME_LABEL = "rlnAutopickFigureOfMerit", "rlnMicrographName"
CTF_LABELS = {
    "rlnDefocusU": "defocus_u_angstrom",
    "rlnDefocusV": "defocus_v_angstrom",
    "rlnDefocusAngle": "defocus_angle_deg",
}
PHASE_LABEL, PHASE_COLUMN = "rlnPhaseShift", "phase_shift_deg"
# Microscope of an optics group, by the parameters of `optics_table`.
MICROSCOPE_LABELS = {
    "rlnVoltage": "voltage_kv",
    "rlnSphericalAberration": "spherical_aberration_mm",
    "rlnAmplitudeContrast": "amplitude_contrast",
}
# Å/px of the movies; that of the micrographs differs if motion correction has binned them.
MOVIE_PIXEL_SIZE_LABEL = "rlnMicrographOriginalPixelSize"
# Å/px of the micrographs in an optics table, the most reliable first.
PIXEL_SIZE_LABELS = ("rlnMicrographPixelSize", "rlnImagePixelSize", MOVIE_PIXEL_SIZE_LABEL)
# Pixel size of RELION 3.0 and earlier: micrometres on the detector, divided by the magnification.
MAGNIFICATION_LABELS = ("rlnDetectorPixelSize", "rlnMagnification")
# Sizes and shapes of picks: columns that RELION does not know and keeps.
LONG_AXIS_LABEL, SHORT_AXIS_LABEL, ANGLE_LABEL = "crispLongAxisAngstrom", "crispShortAxisAngstrom", "crispAngle"
SHAPE_LABELS = (
    *("crispDiameterAngstrom", LONG_AXIS_LABEL, SHORT_AXIS_LABEL, ANGLE_LABEL, "crispSolidity"),
    *("crispMeanProbability", "crispAtEdge"),
)
# Distance of a pick to the nearest predicted contaminant or carbon, Å.
JUNK_DISTANCE_LABEL = "crispJunkDistanceAngstrom"
PSI_PRIOR_LABEL = "rlnAnglePsiPrior"


def passed_on(picks: pd.DataFrame) -> dict[str, np.ndarray]:
    """Columns of picks that star files for RELION pass on: sizes, shapes, distance to junk, prior of the angle."""
    labels = (*SHAPE_LABELS, JUNK_DISTANCE_LABEL, PSI_PRIOR_LABEL)
    return {label: picks[label].to_numpy() for label in labels if label in picks}


def labelled_ctf(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """CTF columns of `rows` under RELION's labels; the phase shift only where the table has one."""
    labels = CTF_LABELS | ({PHASE_LABEL: PHASE_COLUMN} if PHASE_COLUMN in rows else {})
    return {label: rows[column].to_numpy(dtype=float) for label, column in labels.items()}
