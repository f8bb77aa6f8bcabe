"""Entry points: the HTTP API, the desk, the command line, the worker."""
