"""Largest number of micrographs in the viewer and on the contact sheet of a page."""

MAX_VIEWED = 60
MAX_SHEET = 200
