"""What a model was learnt from, what is known of it and what not, for people."""
