"""Use cases that the command line, the web server and the middleware share."""
