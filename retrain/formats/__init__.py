"""The formats of a dataset version: how rows become files of a folder, and rows again, with nothing lost."""
