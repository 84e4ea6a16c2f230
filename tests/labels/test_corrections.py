from itertools import pairwise

import numpy as np

from crisp_core.classes import BACKGROUND, CONTAMINANT, PARTICLE
from crisp_core.formats.arrays import Grid
from crisp_core.labels.corrections import label_corrected, stroke_mask
from crisp_core.labels.discs import disc_label
from tests.datasets.test_corrections import entry, file, merged

# half of the pixels of the original micrograph in each direction
GRID = Grid((50, 100), 2.0, (100, 200))


def labelled(trusted=True, **changes):
    corrected = merged(file("A", entry(**changes))).micrographs["mic0"]
    options = {"diameter_angstrom": 20, "disc_radius_angstrom": 6, "weight": 3}
    return label_corrected(corrected, GRID, trusted=trusted, **options)


def test_particles_are_discs_and_changes_count_more():
    label, weight, _ = labelled(kept=[[20, 20]], added=[[60, 60]], removed=[[120, 40]])
    assert (label == disc_label(GRID.shape, [[10, 10], [30, 30]], radius_px=3)).all()
    often = disc_label(GRID.shape, [[30, 30], [60, 20]], radius_px=5).astype(bool)
    assert (weight == np.where(often, 3, 1)).all()
    assert label[20, 60] == BACKGROUND


def test_without_trust_only_the_surroundings_of_changes_count():
    label, weight, _ = labelled(trusted=False, kept=[[20, 20]], added=[[60, 60]])
    assert label[10, 10] == PARTICLE and weight[10, 10] == 0
    assert (weight > 0).sum() == disc_label(GRID.shape, [[30, 30]], radius_px=10).sum()


def test_junk_is_contaminant_and_unsure_areas_do_not_count():
    junk, brushed = [{"radius_px": 10, "points": [[0, 0], [200, 0]]}], [{"radius_px": 4, "points": [[100, 4]]}]
    label, weight, unsure = labelled(trusted=False, junk=junk, unsure=brushed)
    assert (label[:6] == CONTAMINANT).all() and not label[6:].any()
    assert weight[2, 50] == 0 and weight[5, 20] == 1 and not weight[6:].any()
    assert (unsure == (weight == 0)).all()


def test_a_brush_covers_what_is_within_its_radius_of_the_line():
    """Against the distance to many points of the line; the stroke leaves the micrograph."""
    line = [[-10, 30], [60, 44], [60, 120]]
    found = stroke_mask(
        GRID, merged(file("A", entry(junk=[{"radius_px": 9, "points": line}]))).micrographs["mic0"].junk
    )
    dense = np.concatenate([np.linspace(a, b, 300) for a, b in pairwise(line)])
    xy = np.stack(np.meshgrid(np.arange(100), np.arange(50)), axis=-1) * 2.0
    distance = np.array([[np.linalg.norm(dense - place, axis=1).min() for place in row] for row in xy])
    assert (found == (distance <= 9))[np.abs(distance - 9) > 0.05].all() and found.any() and not found.all()
