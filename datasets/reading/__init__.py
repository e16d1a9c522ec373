"""Any file, table or list of dicts comes in; valid rows in blocks go out.

Rows that break a rule go to the quarantine with source, row, field, value and reason.
"""
