"""Retrievers, or versions of anything that makes lists, compared by what users did with them."""
