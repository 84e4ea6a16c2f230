"""Conditional random field behind a network."""
