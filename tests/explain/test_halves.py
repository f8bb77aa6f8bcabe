import numpy as np
import pytest
import shap
from shap_reference import halves_of

from explain.halves import halves


@pytest.mark.parametrize(("rows", "columns"), [(1, 2), (1, 5), (5, 1), (7, 7), (8, 8), (5, 3), (2, 9), (13, 4)])
def test_the_tree_is_the_librarys(rows: int, columns: int) -> None:
    due = shap.maskers.Image(np.zeros((rows, columns, 1)), (rows, columns, 1)).clustering
    tree = halves(rows, columns)
    assert list(tree.halves) == halves_of(due)
    assert tree.sizes()[rows * columns :] == due[:, 3].tolist()


def test_one_square_has_no_tree() -> None:
    assert (halves(1, 1).leaves, halves(1, 1).halves) == (1, ())
