"""The libraries' draws from numpy's global generator, kept to themselves.

SHAP seeds and draws from `numpy.random` (PermutationExplainer its orders, PartitionExplainer its tie-breaks) and takes no
generator of its own. One lock serves the whole process, so explanations in two threads do not mix their draws.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_lock = threading.RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """numpy's global generator starts from `seed` inside and is as it was afterwards."""
    with _lock:
        state = np.random.get_state()
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)
