"""The server process: application, background work and connections."""
