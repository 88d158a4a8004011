"""The bulk store: requests, script views, events, and the views and visits that are derived from them."""
