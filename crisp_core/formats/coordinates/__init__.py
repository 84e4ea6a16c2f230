"""Coordinate files of all programs: one module for each format."""
