"""Pairs and an examination curve or click model come in; the exposure of each document goes out."""
