"""The plan of a run: which files each job takes and makes."""
