"""The bulk store of requests, views and visits."""
