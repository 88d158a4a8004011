"""What all HTTP routes share: who sends a request, its body, its languages, rate limits, headers and problems."""
