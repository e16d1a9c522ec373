"""Click models: how examination and relevance make clicks. One model a file."""
