"""Conditional random field on the logits of a segmentation network."""
