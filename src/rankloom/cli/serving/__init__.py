"""The commands around the HTTP service: serve and token."""
