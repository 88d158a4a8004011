"""HTTP endpoints for scripts, servers and other programs."""
