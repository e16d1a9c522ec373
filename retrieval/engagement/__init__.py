"""A log as a sparse matrix: who engaged with what, corrected for position and for age."""
