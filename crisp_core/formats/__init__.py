"""File formats: one module for each, and the reading of images."""
