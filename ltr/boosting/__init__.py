"""Features and training targets come in; a LightGBM booster goes out.

LightGBM's parameters, datasets, training, early stopping and progress.
"""
