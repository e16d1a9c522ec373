"""Columns of events come in; units of evidence go out, one for each document of an execution."""
