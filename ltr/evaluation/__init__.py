"""A ranker and held-out pairs come in; a report, and the gate's verdict, go out."""
