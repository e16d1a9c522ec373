"""What a log says over time, and when it changed."""
