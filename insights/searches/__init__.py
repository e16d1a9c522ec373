"""A log as searches: which lists were shown to whom, for which query, and what came of them."""
