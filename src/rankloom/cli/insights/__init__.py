"""`rankloom insights` and `rankloom report`: a log read by people."""
