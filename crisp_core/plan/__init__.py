"""The plan of a run: which files each job takes and makes, asked of settings and the table of micrographs alone."""
