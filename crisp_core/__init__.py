"""CRISP: cryo-EM image segmentation and picking with conditional random fields.

Importing the package alone imports nothing else, so that it is quick; its modules are imported where they are used.
"""

__version__ = "0.1.0"
