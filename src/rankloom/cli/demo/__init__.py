"""The commands on simulated interactions: simulate and demo."""
