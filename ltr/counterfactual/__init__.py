"""A log of other rankings and a ranker's scores come in; what its ranking was worth goes out."""
