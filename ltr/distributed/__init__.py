"""Trees grown by LightGBM on the workers of a Dask cluster, where one process would not do.

LightGBM connects its workers by sockets of its own. Its Dask side believes what it is given about
groups, and waits for ever for a worker that is gone: both is looked after here.
"""
