"""Definitions shared by all of learned fusion.

Ids, timestamps, contexts, channels, rewards, identity and sums; nothing that has a state.
"""
