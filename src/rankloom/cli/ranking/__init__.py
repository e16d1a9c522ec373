"""The commands from a log to a ranker."""
