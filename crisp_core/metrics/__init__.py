"""Scores of pixels and picks."""
