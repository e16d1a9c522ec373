"""The rooms that read User Behavior Insights; `rankloom.datasets.ubi` is their face."""
