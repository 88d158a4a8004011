"""Turn requests and events into records that contain only what the terms permit."""
