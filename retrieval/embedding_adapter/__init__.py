"""A linear map on a user's embeddings, learnt from triplets and judged on held-out clicks."""
