"""Searches by query: which find nothing, fail or are reworded, and what would serve them better."""
