"""What tests share: a site in a folder, a running server, faults, models."""
