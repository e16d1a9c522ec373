"""One page about a log for people who would rather look than read.

A section is a module of `sections/`: from the log to facts, from facts to sentences, pictures and
tables. `charts/` draws pictures, `page.py` makes the page, `build.py` puts all of it together.
"""
