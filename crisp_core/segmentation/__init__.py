"""Networks that classify every pixel: training and prediction."""
