"""The rooms of the interaction log; `rankloom.datasets.log` is their face."""
