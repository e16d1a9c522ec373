"""Rankers in the formats of other runtimes and search engines."""
