"""rankloom: stored search interactions in, a debiased reranker and fusion weights out."""

from ._shared.lazy import attach
from ._version import __version__ as __version__

__getattr__, __all__ = attach(__name__, __file__)
