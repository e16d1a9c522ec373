"""Sources and single events come in; columns of events go out.

The scores and weights that were logged with them come along.
"""
