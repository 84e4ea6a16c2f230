"""CRISP: cryo-EM image segmentation and picking with conditional random fields."""

__version__ = "0.1.0"
