from collections import Counter

from explain.explainer import SEEDS, seed_for


def test_seeds_are_few_evenly_used_and_the_same_for_ever() -> None:
    counts = Counter(seed_for(str(item)) for item in range(3200))
    assert sorted(counts) == list(range(SEEDS))
    assert max(counts.values()) < 300
    assert [seed_for(item) for item in ("7", "x", "")] == [11, 2, 2]
