"""Finders of particle centers on probability maps."""
