from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from couponctl.drills.histogram import BOUNDS_MS, BUCKETS, bucket_words, histogram
from couponctl.drills.progress import Progress, Timeline
from couponctl.models import Outcome


def test_a_bound_belongs_to_its_own_bucket_and_what_is_longer_to_the_next() -> None:
    assert histogram([0.1, 1, 1.01, 10_000, 10_001]) == (2, 1, *[0] * (BUCKETS - 4), 1, 1)


def test_every_bucket_says_what_is_in_it() -> None:
    words = [bucket_words(bucket) for bucket in range(BUCKETS)]

    assert words[0] == "≤1 ms"
    assert words[-2:] == ["≤10 s", ">10 s"]
    assert len(set(words)) == len(BOUNDS_MS) + 1


@given(st.lists(st.tuples(st.floats(0, 1000), st.integers(0, 500)), min_size=1))
def test_a_timeline_keeps_the_peak_in_few_slices(values: list[tuple[float, int]]) -> None:
    timeline = Timeline()
    for at, value in sorted(values):
        timeline.record(at, value)

    assert max(timeline.values) == max(value for _, value in values)
    assert len(timeline.values) <= Timeline.SLICES


def test_a_timeline_that_is_full_holds_the_same_in_slices_twice_as_long() -> None:
    timeline = Timeline()
    for index in range(Timeline.SLICES):
        timeline.record(index * 0.01 + 0.005, index)
    timeline.record(0.605, 7)

    assert timeline.values == (*range(1, 60, 2), 7)


def test_a_view_is_of_the_drill_that_began_last() -> None:
    progress = Progress()
    progress.expect(2)
    progress.answered(Outcome.CLAIMED, 0.004)
    progress.begin()
    progress.expect(3)
    progress.answered(Outcome.SOLD_OUT, 0.030)

    view = progress.view()

    assert (view.done, view.total, view.outcomes) == (1, 3, {"sold_out": 1})
    assert view.histogram == {"sold_out": histogram([30])}
    assert (view.p50_ms, view.p99_ms) == (30, 30)
