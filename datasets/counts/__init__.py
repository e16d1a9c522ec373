"""Training pairs come in; counts of clicks and impressions by query, document and state go out.

Click models and position-bias estimators learn from these counts.
"""
