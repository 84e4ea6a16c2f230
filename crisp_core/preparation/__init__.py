"""Preparation of micrographs for a network."""
