"""From a file of unknown shape to the files of a project."""
