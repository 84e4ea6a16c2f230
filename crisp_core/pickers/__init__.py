"""Pickers of other people, one module per program: all take micrographs and return micrograph, x, y, score."""
