"""Star file of extracted particles; every rule that extracts writes it."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from crisp_core.formats.relion_optics import optics_table
from crisp_core.formats.relion_particles import particles_table, write_particles_star
from crisp_core.particles.boxes import Boxes


def write_extracted_star(
    path: str | Path,
    kept: pd.DataFrame,
    boxes: Boxes,
    *,
    stack: str,
    star_paths: Mapping[str, str],
    pixel_size: float,
    microscope: Mapping[str, float],
    ctf: pd.DataFrame | None = None,
    groups: pd.DataFrame | None = None,
    poses: pd.DataFrame | None = None,
) -> None:
    """Write the star file of particles in a stack.

    Parameters
    ----------
    path : str or Path
        File to write.
    kept : DataFrame
        Kept rows of `extraction.extract_stack`: columns micrograph, x, y, score, in the order of the stack.
    boxes : Boxes
        Sizes of the images in the stack.
    stack : str
        Path of the stack in the star file.
    star_paths : mapping of str to str
        Paths of the micrographs in the star file, by name.
    pixel_size : float
        Pixel size of the micrographs, Å/px.
    microscope : mapping
        Optics: voltage_kv, spherical_aberration_mm, amplitude_contrast.
    ctf, groups : DataFrame, optional
        CTF and optics groups of the micrographs, results of `formats.relion_ctf.read_micrographs_ctf`.
    poses : DataFrame, optional
        Further columns, such as orientations, one row per particle.
    """
    table = particles_table(kept, stack=stack, micrograph_paths=star_paths, ctf=ctf)
    optics = optics_table(
        voltage_kv=microscope["voltage_kv"],
        spherical_aberration_mm=microscope["spherical_aberration_mm"],
        amplitude_contrast=microscope["amplitude_contrast"],
        micrograph_pixel_size=pixel_size,
        pixel_size=boxes.pixel_size,
        box_px=boxes.size_px,
        groups=groups,
    )
    if poses is not None:
        # sizes and shapes are in the table already
        table = pd.concat([table, poses.drop(columns=list(table), errors="ignore")], axis=1)
    write_particles_star(path, optics, table)
