"""The retrievers of the demo's log."""

from __future__ import annotations

from typing import Final

RETRIEVER: Final = "search"
TRIAL: Final = "search-trial"
"""The retriever in production, and one on trial that ranks better."""
