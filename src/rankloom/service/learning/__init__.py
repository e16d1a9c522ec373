"""Retrievers that learn from the log in a thread, and the weights that requests read of them."""
