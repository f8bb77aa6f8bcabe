import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["inference", "inference.errors", "inference.batching", "inference.store", "inference.training"]
)
def test_nothing_heavy_is_imported_before_it_is_needed(module: str) -> None:
    heavy = ["torch", "sklearn", "skops", "safetensors", "pandas", "scipy", "sqlalchemy", "streamlit"]
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
