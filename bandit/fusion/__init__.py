"""Result lists of several channels and their weights come in; one ranking goes out."""
