"""Sources of micrographs: import, batches, splits and quarantine."""
