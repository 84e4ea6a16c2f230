"""Limits of the page of a run, in micrographs."""

# a page with more keeps its pictures and candidates in a folder beside it
MAX_EMBEDDED = 60
# a page of a run with more shows a selection
MAX_SHOWN = 2000
