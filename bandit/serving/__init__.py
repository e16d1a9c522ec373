"""A posterior and a request come in; weights go out: traffic split, snapshots, explanations."""
