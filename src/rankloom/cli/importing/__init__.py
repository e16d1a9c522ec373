"""`rankloom import`: interactions that other systems recorded, into a log or a file."""
