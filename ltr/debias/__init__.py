"""Pairs with biased clicks come in; what a ranker is trained on goes out.

One method a file, and the choice between them.
"""
