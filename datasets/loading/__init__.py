"""From any source to training pairs: in memory, or in partitions on disk where it is too large.

The rows of an execution are folded into pairs together and apart from all others, so a log is read
in parts: each part is folded by itself, and a few facts that concern the whole log (dictionaries,
the order of the executions, counts) are merged.
"""
