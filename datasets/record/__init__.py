"""What one interaction is, and the faults that it can have.

One JSON object or dict comes in; an `Interaction`, or a fault that names field, value and reason,
goes out.
"""
