"""Evidence that several processes share: batches of units go in, sums come out.

SQLite, PostgreSQL and Redis, behind one interface.
"""
