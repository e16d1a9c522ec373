"""Live units come in as they happen; what each running session adds to its own weights goes out."""
