"""Units come in; decayed, mergeable sums by context and channel go out."""
