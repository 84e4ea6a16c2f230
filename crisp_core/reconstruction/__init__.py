"""Orientations of particles: projection matching, RELION and ASPIRE, all from images to one table of poses."""
