"""A log with the weights that were served comes in; what other weights were worth goes out."""
