"""What comes in: logs become records, and only what the terms let in goes on to the disk."""
