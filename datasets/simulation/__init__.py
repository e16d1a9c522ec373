"""A catalogue and a click model with known parameters come in; a log of interactions goes out."""
