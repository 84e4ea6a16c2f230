"""Label images: the class of every pixel."""
