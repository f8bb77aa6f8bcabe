"""Engine, tables, migrations, and the one way to write. No rules: those live in `review_queue` and `retrain`."""
