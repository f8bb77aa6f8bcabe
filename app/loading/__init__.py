"""Rows out of files: CSV, JSONL, Parquet, or a folder of images, streamed in batches and held against the project.

A sound row goes in, a bad one goes to a file beside the input with its place and the reason. Content is known, so
loading the same file again adds nothing and an interrupted load is finished by repeating it.
"""

from app.loading.errors import LoadError
from app.loading.imported import keep_imported
from app.loading.labelled import Labelled, keep_labelled
from app.loading.loader import Loaded, load
from app.loading.truths import TruthsTold, tell

__all__ = ["Labelled", "LoadError", "Loaded", "TruthsTold", "keep_imported", "keep_labelled", "load", "tell"]
