"""Table of labels from clicks: one row for each micrograph."""

from crisp_core.labels.clicks import ClickLabel

# Columns of the table of labels from clicks, see `click_row`.
CLICK_COLUMNS = (
    *("micrograph", "n_particles", "separation", "equivalent_diameter_angstrom"),
    *("lowpass_diameters", "weight", "discs"),
)


def click_row(micrograph: str, n_particles: int, label: ClickLabel, *, pixel_size: float) -> dict[str, str | float]:
    """Return the row of a micrograph in the table of labels from clicks.

    Parameters
    ----------
    micrograph : str
        Name of the micrograph.
    n_particles : int
        Number of coordinates.
    label : ClickLabel
        Its label.
    pixel_size : float
        Pixel size of the label, Å/px.
    """
    return {
        "micrograph": micrograph,
        "n_particles": n_particles,
        "separation": label.separation,
        "equivalent_diameter_angstrom": label.diameter_px * pixel_size,
        "lowpass_diameters": label.lowpass_diameters,
        "weight": label.weight,
        "discs": label.refusal,
    }
