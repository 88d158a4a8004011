"""Support of tests: sites in folders, running servers, faults and models."""
