"""Learned fusion: Thompson-sampling weights per feature_uri. Not built yet."""
