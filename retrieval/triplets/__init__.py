"""A log's queries with relevant documents and such that were passed over, to train embeddings."""
