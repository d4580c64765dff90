"""What becomes of several rounds: medians, the spread, and ratios to the baseline of the same round."""

from __future__ import annotations

from couponctl.bench.rows import PGBENCH, Cell, Measurement, result_of, summed_up
from couponctl.bench.timed import Timed

STATEMENT = Cell("statement", 50, 1)
YARDSTICK = Cell(PGBENCH, 50, 1)


def timed(rate: int, *milliseconds: float, failed: int = 0) -> Timed:
    """So many claims in a second, most of which took the first of these times."""
    first, *others = milliseconds or (1.0,)
    latencies = sorted([first] * (rate - len(others)) + others)
    return Timed(rate, 1.0, tuple(one / 1000 for one in latencies), failed=failed)


def test_a_row_holds_medians_and_how_far_the_rounds_were_apart() -> None:
    rounds = [Measurement(STATEMENT, timed(rate, ms), None) for rate, ms in ((90, 3), (50, 9), (60, 1))]

    (row,) = summed_up(rounds)

    assert (row.claims_per_s, row.slowest, row.fastest) == (60, 50, 90)
    assert (row.p50_ms, row.p99_ms, row.vs_pgbench) == (3, 3, None)


def test_the_ratio_is_the_median_of_the_rounds_not_the_ratio_of_medians() -> None:
    rounds = [
        Measurement(STATEMENT, timed(rate), baseline) for rate, baseline in ((40, 10), (90, 45), (30, 10))
    ]

    (row,) = summed_up(rounds)

    assert row.vs_pgbench == 3


def test_cells_keep_the_order_in_which_they_were_measured_first() -> None:
    round_ = [Measurement(cell, timed(10), 10) for cell in (YARDSTICK, STATEMENT, Cell("batched", 500, 1))]

    rows = summed_up([*round_, *round_])

    assert [row.cell.subject for row in rows] == ["pgbench", "statement", "batched"]


def test_percentiles_are_of_times_that_were_measured() -> None:
    assert (timed(100, 2, 50).p50_ms, timed(100, 2, 50).p99_ms) == (2, 2)
    assert timed(50, 2, 50).p99_ms == 50
    assert Timed(0, 0.0, ()).p50_ms == Timed(0, 0.0, ()).claims_per_s == 0


def test_the_result_is_the_same_for_programs_people_and_pull_requests() -> None:
    result = result_of(
        summed_up([Measurement(YARDSTICK, timed(1000), 1000), Measurement(STATEMENT, timed(2500, 2), 1000)])
    )

    assert result.document["rows"][1] == {
        "subject": "statement",
        "in_flight": 50,
        "coupons": 1,
        "claims_per_s": 2500,
        "claims_per_s_range": [2500, 2500],
        "p50_ms": 2,
        "p99_ms": 2,
        "vs_pgbench": 2.5,
        "failed": 0,
    }
    assert list(result.table.lines()) == [
        "SUBJECT    IN FLIGHT  COUPONS  CLAIMS/S   FROM     TO     P50     P99  × PGBENCH",
        "pgbench           50        1     1,000  1,000  1,000  1.0 ms  1.0 ms       1.00",
        "statement         50        1     2,500  2,500  2,500  2.0 ms  2.0 ms       2.50",
    ]
    assert result.markdown().splitlines()[1:] == [
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| pgbench | 50 | 1 | 1,000 | 1,000 | 1,000 | 1.0 ms | 1.0 ms | 1.00 |",
        "| statement | 50 | 1 | 2,500 | 2,500 | 2,500 | 2.0 ms | 2.0 ms | 2.50 |",
    ]
    assert result.warnings == ()


def test_failed_claims_are_not_overlooked() -> None:
    rounds = [Measurement(STATEMENT, timed(10, failed=2), None), Measurement(STATEMENT, timed(10), None)]

    result = result_of(summed_up(rounds))

    assert result.warnings == ("statement, 50 in flight on 1 coupon: 2 claims FAILED",)
    assert result.document["rows"][0]["failed"] == 2
