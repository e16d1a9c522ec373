"""What a log holds of one user."""
