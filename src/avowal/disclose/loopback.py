"""Hosts that are this machine: connections to them need no TLS."""

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
