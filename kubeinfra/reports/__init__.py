"""Records of runs as pages to read."""
