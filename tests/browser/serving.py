"""Run by tests as a process of its own: the desk of a folder on a port."""

import sys
from pathlib import Path

from app.settings import Settings
from app.web import serve
from app.workspace import open_workspace

if __name__ == "__main__":
    serve(open_workspace(Settings(dir=Path(sys.argv[1]))), port=int(sys.argv[2]), api=False)
