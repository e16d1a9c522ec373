"""Rows of an interaction log come in as they are committed; units in the store go out.

The log position is written in the same transaction as the units.
"""
