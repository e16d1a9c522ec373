"""Scores and grades of many queries come in; ranking metrics go out.

With ties handled, bootstrap intervals, paired differences and corrections for position bias.
"""
