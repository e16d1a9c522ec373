"""Evidence that several processes share: batches of units go in, sums come out.

SQLite and Redis, behind one interface.
"""
