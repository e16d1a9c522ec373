from .load import load_pairs as load_pairs
