"""The doors for browsers: the pages, and the server that gives them."""
