"""Charts as values, and their pictures as SVG that takes its colours from the page."""
