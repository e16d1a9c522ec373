"""The commands of a memory of queries."""
