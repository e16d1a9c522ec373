"""Pairs and a ranker's scores come in; what clicks said of each document of a query goes out.

Units (documents of executions) are summed by query and document, and the sums are mixed with the
ranker's score as far as the log says that they predict later clicks better than it does.
"""
