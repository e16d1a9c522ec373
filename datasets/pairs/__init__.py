"""Valid rows come in; training pairs go out.

Rows are assigned to executions, folded to one pair for each document of an execution, and
joined with features.
"""
