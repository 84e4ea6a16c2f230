"""Row order: whether stated coordinates or the flipped ones fit the micrographs, judged by local contrast."""

from pathlib import Path

import numpy as np

from crisp_core.errors import UserError

# How far the flipped orientation must beat the stated one, in standard errors, and by which factor in mean contrast.
ORIGIN_T, ORIGIN_FACTOR = 5.0, 2.0


def contrast_kernel(radius_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the disc and of the ring whose means `origin_contrast` compares, as two square masks."""
    reach = max(2, int(np.ceil(radius_px)))
    distance = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    return distance <= reach / 2, (distance > reach / 2) & (distance <= reach)


def origin_contrast(image: np.ndarray, xy: np.ndarray, *, radius_px: float) -> np.ndarray:
    """Local contrast at each centre: mean in a disc minus mean in the ring around it.

    The disc has half the particle's radius and the ring is the rest of the particle. Of the rings tried on EMPIAR-10017
    and -10146, this one still distinguishes the orientations at half and at one and a half times the true radius.

    Parameters
    ----------
    image : np.ndarray
        `(y, x)` image at any resolution.
    xy : np.ndarray
        `(n, 2)` centres as (x, y) in pixels of this image, rounded to the nearest pixel.
    radius_px : float
        Particle radius in pixels of this image.

    Returns
    -------
    np.ndarray
        `(n,)` contrasts in units of the image's standard deviation; beyond the edge the nearest pixel counts.
    """
    disc, ring = (part.ravel() for part in contrast_kernel(radius_px))
    reach = max(2, int(np.ceil(radius_px)))
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    x, y = np.rint(np.asarray(xy, dtype=float).reshape(-1, 2)).astype(int).T
    height, width = image.shape
    means = [
        image[
            np.clip(y[:, None] + dy[part], 0, height - 1),
            np.clip(x[:, None] + dx[part], 0, width - 1),
        ].mean(axis=1, dtype=float)
        for part in (disc, ring)
    ]
    return (means[0] - means[1]) / (np.std(image, dtype=float) or 1.0)


def origin_statistic(stated: np.ndarray, flipped: np.ndarray) -> float:
    """Advantage of the stated orientation over the flipped one, in standard errors; negative if it fits worse.

    Particles may be dark or bright, so magnitudes of the mean contrasts are compared, as in Welch's t:
    (|mean stated| − |mean flipped|) / √(variance stated / n + variance flipped / n). 0 with fewer than two particles.
    """
    if min(len(stated), len(flipped)) < 2:
        return 0.0
    error = np.sqrt(np.var(stated, ddof=1) / len(stated) + np.var(flipped, ddof=1) / len(flipped))
    difference = abs(np.mean(stated)) - abs(np.mean(flipped))
    return float(difference / error) if error > 0 else 0.0


def check_origin(stated: np.ndarray, flipped: np.ndarray, *, source: str | Path) -> None:
    """Refuse a stated origin if the flipped orientation clearly fits the micrographs.

    It does if it is ahead by more than 5 standard errors and its mean contrast is more than twice the stated one's.
    With few particles, or none visible, nothing is refused.

    Parameters
    ----------
    stated, flipped : np.ndarray
        `origin_contrast` at the coordinates as stated, and upside down.
    source : str or Path
        The coordinate file or dataset, for the message.

    Raises
    ------
    UserError
        If the flipped orientation clearly fits.
    """
    statistic = origin_statistic(stated, flipped)
    if statistic < -ORIGIN_T and abs(np.mean(flipped)) > ORIGIN_FACTOR * abs(np.mean(stated)):
        raise UserError(
            f"{source}: its coordinates fit the micrographs upside down (contrast {np.mean(flipped):.3f} flipped, "
            f"{np.mean(stated):.3f} as stated, {-statistic:.0f} standard errors); "
            "set origin to the other of top-left and bottom-left in the dataset's entry"
        )
