"""What it is for: availability, performance and content."""
