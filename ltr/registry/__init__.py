"""A folder of models of which one is served, and how another takes its place or gives it back."""
