"""Pages for people: made by the server, without scripts, from what the routes answer."""
