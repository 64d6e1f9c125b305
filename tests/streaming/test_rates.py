from __future__ import annotations

from streaming.rates import MOST_SUBJECTS, Rates
from times import SECOND


def test_the_rate_counts_arrivals_since_the_last_look() -> None:
    rates = Rates()
    assert rates.since_last("x", 100, 0, SECOND) is None
    assert rates.since_last("x", 118, SECOND, SECOND) == 18.0
    assert rates.since_last("x", 118, 2 * SECOND, SECOND) == 0.0
    assert rates.since_last("x", 121, 4 * SECOND, SECOND) == 1.5


def test_a_look_too_long_ago_or_just_before_says_nothing() -> None:
    rates = Rates()
    rates.since_last("x", 0, 0, SECOND)
    assert rates.since_last("x", 90, 9 * SECOND, SECOND) is None
    assert rates.since_last("x", 91, 9 * SECOND + 1, SECOND) is None
    assert rates.since_last("x", 92, 0, SECOND) is None, "the clock stepped back"


def test_subjects_are_not_remembered_without_bound() -> None:
    rates = Rates()
    for number in range(MOST_SUBJECTS + 5):
        rates.since_last(number, 0, 0, SECOND)
    assert rates.since_last(0, 1, SECOND, SECOND) is None
    assert rates.since_last(MOST_SUBJECTS, 1, SECOND, SECOND) == 1.0


def test_what_is_counted_anew_gives_no_rate() -> None:
    rates = Rates()
    assert rates.since_last("all", 1000, 0, SECOND) is None
    assert rates.since_last("all", 10, SECOND, SECOND) is None
    assert rates.since_last("all", 15, 2 * SECOND, SECOND) == 5.0
