"""Finders of particle centres on a probability map."""
