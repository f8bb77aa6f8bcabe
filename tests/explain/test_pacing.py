import time

from explain.isolation import isolated
from explain.pacing import MOST, SECONDS, pieces


def test_quick_work_grows_and_slow_work_shrinks() -> None:
    calls = list[int]()
    sizes = [len(part) for part in pieces(range(1000), lambda: calls.append(1))]
    assert sizes[:4] == [1, 2, 4, 8]
    assert max(sizes) <= MOST
    assert sum(sizes) == 1000
    assert len(calls) == len(sizes)
    slow = []
    for part in pieces(range(6), lambda: None):
        time.sleep(0.6 * SECONDS * len(part))
        slow.append(len(part))
    assert max(slow) == 1


def test_a_part_that_fails_takes_no_other_down() -> None:
    asked = list[int]()

    def work(parts: list[int]) -> list[float]:
        asked.append(len(parts))
        return [1 / part for part in parts]

    found = isolated([1, 2, 0, 4, 5, 0], work)  # type: ignore[arg-type]
    assert [each for each in found if not isinstance(each, Exception)] == [1, 0.5, 0.25, 0.2]
    assert [isinstance(each, ZeroDivisionError) for each in found] == [False, False, True, False, False, True]
    assert isolated([], work) == []  # type: ignore[arg-type]
    assert asked[0] == 6
