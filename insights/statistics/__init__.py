"""Statistics that all insights share: rates, means, tests, control of false discoveries."""
