"""Star files of orientations."""

from crisp_core.formats.poses import ANGLE_LABELS, ORIGIN_LABELS
from crisp_core.formats.star import write_blocks


def write_poses(path, poses):
    """Write orientations as the block data_particles of RELION 3.1 and later."""
    labels = {"x": "rlnCoordinateX", "y": "rlnCoordinateY", "micrograph": "rlnMicrographName"}
    labels |= ANGLE_LABELS | ORIGIN_LABELS
    write_blocks(path, {"particles": poses[list(labels)].rename(columns=labels)})
