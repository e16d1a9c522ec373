"""Helpers that every package uses: files, compiled kernels, lazy exports, SQLite, threads."""
