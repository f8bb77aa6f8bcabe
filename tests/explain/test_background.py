import numpy as np

from explain.background import background_hash, drawn


def test_the_same_rows_are_drawn_in_their_order() -> None:
    rows = [{"x": place} for place in range(500)]
    chosen = drawn(rows, 64)
    assert len(chosen) == 64
    assert chosen == drawn(rows, 64)
    assert [row["x"] for row in chosen] == sorted({row["x"] for row in chosen})
    assert drawn(rows[:10], 64) == rows[:10]


def test_the_hash_names_content() -> None:
    one = background_hash([{"x": 1.0, "y": None, "z": b"bytes", "t": "é"}])
    assert one == background_hash([{"t": "é", "z": b"bytes", "y": None, "x": np.float64(1.0)}])
    assert one != background_hash([{"x": 1.5, "y": None, "z": b"bytes", "t": "é"}])
    assert background_hash([{"x": float("nan")}]) == background_hash([{"x": None}])
    assert background_hash([{"x": 2**60}]) != background_hash([{"x": 2**60 + 1}])
