"""Every field of the file, wrong in its own way, is told with its line, its name and the way out."""

from __future__ import annotations

import pytest

from alerts.file import BadAlerts, parse_file
from alerts.rules import BadField, parse_rule
from times import HOUR, MINUTE

GOOD = """\
[[receiver]]
name = "ops"
webhook = "https://hooks.example.com/secret-path"
headers_file = "/run/secrets/ops"
[[alert]]
name = "slow"
series = "web/*"
statistic = "p99"
window = "1m"
above = 0.8
for = "1m"
keep_firing_for = "5m"
labels = { severity = "page" }
summary = "p99 of {series} is {value}"
to = ["ops"]
limit = 10
"""


def test_a_complete_file_is_read() -> None:
    found = parse_file(GOOD.encode(), HOUR)
    rule = found.rules["slow"]
    assert (rule.statistic, rule.window, rule.holds, rule.keeps, rule.limit) == ("p99", MINUTE, MINUTE, 5 * MINUTE, 10)
    assert rule.is_pattern
    assert rule.pattern.match("web/a/b")
    assert not rule.pattern.match("api")
    assert rule.told("{value}", 1.0) == "p99 of {value} is 1"
    assert rule.told("", None) == "p99 of all series is no value"
    assert parse_rule(found.entries[0]) == rule
    assert "secret" not in repr(found.receivers)


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ('name = "slow"', 'name = "slow', 6, "TOML"),
        ('name = "slow"', "name = 7", 6, "name"),
        ('name = "slow"', 'nam = "slow"', 5, "name"),
        ('series = "web/*"', 'series = ""', 7, "series"),
        ('statistic = "p99"', 'statistic = "p101"', 8, "statistic"),
        ('window = "1m"', 'window = "2h"', 9, "TIDEMARK_RETENTION"),
        ('window = "1m"', "window = 60", 9, "window"),
        ('window = "1m"', "last = 0", 9, "last"),
        ('window = "1m"\n', "", 6, "window"),
        ("above = 0.8", "above = inf", 10, "above"),
        ("above = 0.8", 'above = "0.8"', 10, "above"),
        ("above = 0.8", "above = true", 10, "above"),
        ("above = 0.8", "outside = [5.0, 1.0]", 10, "outside"),
        ("above = 0.8", "above = 0.8\nbelow = 1", 11, "exactly one"),
        ("above = 0.8\n", "", 6, "exactly one"),
        ("above = 0.8", 'absent = "5m"', 8, "statistic"),
        ('for = "1m"', 'for = "soon"', 11, "for"),
        ('for = "1m"', 'fro = "1m"', 11, "fro"),
        ('keep_firing_for = "5m"', "keep_firing_for = 5", 12, "keep_firing_for"),
        ("labels = { severity", "labels = { series", 13, "labels"),
        ('"page"', "1", 13, "labels"),
        ('labels = { severity = "page" }', "labels = 1", 13, "labels"),
        ("is {value}", "is {values}", 14, "summary"),
        ('summary = "p99 of', "summary = 1 #", 14, "summary"),
        ('to = ["ops"]', 'to = ["oops"]', 15, "ops"),
        ('to = ["ops"]', 'to = "ops"', 15, "to"),
        ("limit = 10", "limit = 10001", 16, "limit"),
        ('name = "ops"', 'name = "o p s"', 2, "name"),
        ('name = "ops"', 'nmae = "ops"', 1, "name"),
        ('webhook = "https://hooks', 'webhook = "ftp://hooks', 3, "webhook"),
        ('webhook = "https://hooks', 'webhook = "https://u:p@hooks', 3, "headers_file"),
        ('webhook = "https://hooks.example.com', 'webhook = "https://[hooks', 3, "webhook"),
        ("webhook =", "wehbook =", 3, "wehbook"),
        ('headers_file = "/run', 'alertmanager = "http://am"\nheaders_file = "/run', 4, "exactly one"),
        ('headers_file = "/run', 'headers_file = "run', 4, "headers_file"),
        ("[[receiver]]", "[receiver]", 1, "[[receiver]]"),
        ("[[receiver]]", "[[reciever]]", 1, "[[receiver]]"),
        ("limit = 10", 'limit = 10\n[[alert]]\nname = "slow"\nabsent = "5m"', 18, "another"),
        ("limit = 10", "limit = 10 # \udcff", 16, "UTF-8"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(old: str, new: str, line: int, told: str) -> None:
    assert old in GOOD
    with pytest.raises(BadAlerts) as caught:
        parse_file(GOOD.replace(old, new, 1).encode(errors="surrogateescape"), HOUR)
    message = str(caught.value)
    assert message.startswith(f"line {line}: ")
    assert told in message
    assert "secret" not in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("condition", "met", "unmet"),
    [
        ({"above": 1}, 1.1, 1.0),
        ({"below": 1}, 0.9, 1.0),
        ({"outside": [1.0, 5.0]}, 5.1, 5.0),
        ({"outside": [1.0, 5.0]}, 0.9, 1.0),
    ],
)
def test_a_bound_itself_is_not_beyond_it(condition: dict[str, object], met: float, unmet: float) -> None:
    rule = parse_rule({"name": "a", "statistic": "mean", "window": "1m"} | condition)
    assert rule.is_met(met)
    assert not rule.is_met(unmet)


def test_a_rate_needs_a_window() -> None:
    with pytest.raises(BadField, match="rate"):
        parse_rule({"name": "a", "statistic": "rate", "last": 5, "above": 1})


def test_a_name_may_escape_what_patterns_are_made_of() -> None:
    rule = parse_rule({"name": "a", "series": "what[?]", "absent": "1m"})
    assert not rule.is_pattern
    assert rule.exact == "what?"


@pytest.mark.parametrize("table", ["alert", "receiver"])
def test_there_are_not_too_many_entries(table: str) -> None:
    entry = 'absent = "1m"' if table == "alert" else 'webhook = "http://a"'
    text = "".join(f'[[{table}]]\nname = "{number}"\n{entry}\n' for number in range(1001))
    with pytest.raises(BadAlerts, match="are the most"):
        parse_file(text.encode())
