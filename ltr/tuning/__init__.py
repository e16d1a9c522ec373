"""Training pairs come in; a ranker's parameters that do better on held-out executions go out."""
