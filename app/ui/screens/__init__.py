"""One module a screen: read, draw, wire."""
