"""What a fit leaves behind, in memory and as a folder on disk."""
