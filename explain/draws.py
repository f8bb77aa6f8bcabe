"""The draws of shap's gradient explainer: for each sample a row of the background, and how far from it towards the row."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from contract.predictors import Floats


@lru_cache(maxsize=64)
def pairs(seed: int, count: int, rows: int) -> tuple[NDArray[np.intp], Floats]:
    """(count,) rows from 0 to `rows` - 1 and (count,) shares, as `choice(rows)` and `uniform()` in turn from RandomState(seed).

    A choice takes words of 32 bits until one fits under the mask, none where there is one row; a share takes two.
    """
    state = np.random.RandomState(seed)
    words = state.randint(0, 1 << 32, size=4 * count, dtype=np.uint32)
    mask, most = (1 << (rows - 1).bit_length()) - 1, rows - 1
    chosen, shares, at = np.zeros(count, dtype=np.intp), np.empty((count, 2), dtype=np.uint32), 0
    for place in range(count):
        while most:
            if at + 3 > len(words):
                words = np.append(words, state.randint(0, 1 << 32, size=count, dtype=np.uint32))
            word, at = int(words[at]) & mask, at + 1
            if word <= most:
                chosen[place] = word
                break
        shares[place], at = words[at : at + 2], at + 2
    return chosen, ((shares[:, 0] >> 5) * 67_108_864.0 + (shares[:, 1] >> 6)) / 9_007_199_254_740_992.0
