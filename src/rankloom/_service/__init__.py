"""The rooms of the HTTP service; `rankloom.service` is its face."""
