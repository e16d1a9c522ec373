"""What a source holds, judged before anything is learnt from it.

Counts of valid, repeated and refused rows come in; a report, notes and conditions that fail go out.
"""
