"""Pairs, arrays, tables or dicts come in; one matrix with named features goes out."""
