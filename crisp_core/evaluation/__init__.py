"""Scores against known particles, comparisons and resolution."""
