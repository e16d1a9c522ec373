"""What a log knew of documents before each execution: interactions in, a table of features out.

Nothing from the moment of an execution or later counts for it; the same table as of one moment
serves new executions.
"""

from ..._shared.lazy import attach

__getattr__, __all__ = attach(__name__, __file__)
