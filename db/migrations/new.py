"""`python -m db.migrations.new "what changes"`: a migration from the difference between history and tables."""

import sys
import tempfile

from db.engine import Database
from db.migrate import upgrade, write_revision

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/head.db")
        upgrade(database)
        write_revision(database, sys.argv[1])
