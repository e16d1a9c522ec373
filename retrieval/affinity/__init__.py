"""How close documents are to what a user engaged with before: interactions in, features out."""
