"""The modules of the HTTP service; `rankloom.service` is its public interface."""
