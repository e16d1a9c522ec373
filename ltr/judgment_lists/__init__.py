"""Pairs with clicks, judgements or both in; graded judgement lists in the formats of others out."""
