"""Training pairs of logs that lie in Spark: rows are folded by the executors that hold them.

Interactions are shuffled once, by execution; each task reads its rows as `load_pairs` does and
folds them into pairs. They come back as rows of a DataFrame, and what concerns the whole log as a
few facts from every task.

Executors need rankloom and Python 3.11 or newer. The calls are those of Spark 3.5 and later, on
clusters and through Spark Connect: ``repartition`` by the execution, then ``mapInArrow``, which
calls a function once for each partition with its rows as an iterator of record batches.
"""

from ..._shared.lazy import attach

__getattr__, __all__ = attach(__name__, __file__)
