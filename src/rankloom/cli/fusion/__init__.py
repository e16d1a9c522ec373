"""The commands from a log to fusion weights: learn-fusion, weights, replay."""
