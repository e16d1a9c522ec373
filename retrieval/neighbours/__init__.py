"""Similar documents and users, and what follows for recommendations."""
