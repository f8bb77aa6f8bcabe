"""What can go wrong with a file or folder as a whole."""


class LoadError(ValueError):
    """A file that cannot be loaded at all: which, why, and the mend."""
