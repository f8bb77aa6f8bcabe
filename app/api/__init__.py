"""The HTTP API: the same verbs as the desk, for programs."""
