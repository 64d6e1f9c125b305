"""The command line: what it prints, in process; tests/e2e/test_client.py runs it as a program."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from client_stub import Answer, Asked, Stub, problem
from rich.console import Console

from tidemark import cli, retrying
from tidemark.words import plot, shown, table_of


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def run(stub: Stub, *args: str, pipe: str = "") -> Result:
    return CliRunner().invoke(cli.main, ["--url", stub.url, *args], input=pipe)


def serving(document: Any) -> Stub:
    return Stub(decide=lambda asked: Answer(200, document))


def test_names_cannot_command_a_terminal_and_csv_cells_are_no_formulas() -> None:
    names = ["\x1b[2Jx", "a\u202eb", "=1+1", "-5", "@x", "plain"]
    found = [{"series": name, "statistics": {"count": 1, "max": None}} for name in names]
    with serving({"series": found}) as stub:
        printed = run(stub, "top").output
        assert "\\x1b[2Jx" in printed
        assert "a\\u202eb" in printed
        rows = run(stub, "top", "--csv").output.splitlines()
        assert rows == ["series,count,max", "\\x1b[2Jx,1,", "a\\u202eb,1,", "'=1+1,1,", "-5,1,", "'@x,1,", "plain,1,"]
        assert [row["series"] for row in json.loads(run(stub, "top", "--json").output)] == names


def test_nothing_is_said_to_be_nothing() -> None:
    with serving({"alerts": [], "series": []}) as stub:
        assert run(stub, "alerts").output == run(stub, "top").output == "(none)\n"
        assert run(stub, "alerts", "--json").output == "[]\n"
        assert run(stub, "alerts", "--csv").output == ""


def test_alerts_are_shown_with_their_state() -> None:
    alert = {"name": "slow", "series": "a", "state": "firing", "since": "2026", "value": 3.5, "rule": {}}
    with serving({"alerts": [alert]}) as stub:
        assert run(stub, "alerts").output.splitlines()[1].split() == ["slow", "a", "firing", "2026", "3.5", "-"]
        assert json.loads(run(stub, "alerts", "--state", "firing", "--json").output) == [alert]
        assert stub.asked[-1].path == "/alerts?state=firing"


def test_what_is_watched_is_a_line_each_where_there_is_no_terminal() -> None:
    stream = b'event: statistics\nid: 3\ndata: {"count": 1234, "mean": 0.5, "last": null}\n\n' * 2
    with Stub(decide=lambda asked: Answer(200, stream)) as stub:
        assert run(stub, "watch", "a", "--count", "2").output == "count 1,234  mean 0.5\n" * 2
        assert json.loads(run(stub, "watch", "--count", "1", "--json").output)["count"] == 1234


def test_ctrl_c_ends_watching_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(found: Any) -> None:
        next(iter(found))
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_show_live", interrupt)
    with Stub(decide=lambda asked: Answer(200, b"event: statistics\ndata: {}\n\n")) as stub:
        ended = run(stub, "watch")
    assert (ended.exit_code, ended.output) == (0, "")


def test_a_slow_server_is_waited_for_while_it_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "STILL_SECONDS", 1e6)
    busy = Answer(503, {"detail": "later"}, {"Retry-After": "0"})
    with Stub(busy, busy) as stub:
        assert run(stub, "send", "a", pipe="1\n\n2\n").output == "2 stored\n"


def test_a_server_that_stores_nothing_is_given_up_and_the_events_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("STILL_SECONDS", "CLOSE_SECONDS"):
        monkeypatch.setattr(cli, limit, 0.05)
    monkeypatch.setattr(retrying, "LONGEST_PAUSE", 0.02)
    with Stub(decide=lambda asked: problem(503, "no log")) as stub:
        ended = run(stub, "send", "a", "1", "2")
        asked = json.loads(run(stub, "send", "a", "1", "--json").stdout)
    said = "0 stored, 2 not known to be stored\nError: 2 events are not known to be stored (503: no log)\n"
    assert (ended.exit_code, ended.output) == (1, said)
    assert asked == {"stored": 0, "expired": 0, "not known to be stored": 1}


def test_what_is_refused_or_expired_is_counted() -> None:
    def decide(asked: Asked) -> Answer | None:
        refused = any(event["value"] == 2 for event in asked.events)
        return problem(400, errors={"1": {"value": ["Bad."]}}) if refused else Answer(200, {"stored": 0, "expired": 1})

    with Stub(decide=decide) as stub:
        ended = run(stub, "send", "a", "1", "2")
    assert ended.stdout == "0 stored, 1 expired, 1 refused\n"
    assert ended.stderr.startswith("Error: 1 event refused: 'a' 2.0 at ")


def test_a_terminal_without_a_pipe_is_told_to_name_values(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    with Stub() as stub:
        ended = CliRunner().invoke(cli.main, ["--url", stub.url, "send", "a"], input=Terminal())
    assert (ended.exit_code, "name the values" in ended.stderr, ended.stdout) == (2, True, "")


def test_the_first_signal_sends_the_rest_and_the_second_ends_the_program() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with pytest.raises(SystemExit) as ended:
            cli._end(number, None)
        assert ended.value.code == 128 + number
    assert signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (1234567, "1,234,567"),
        (0.123456789, "0.123457"),
        (20000.0, "20,000"),
        (200_010_000.0, "200,010,000"),
        (1234567.25, "1,234,567.2"),
        (1e300, "1e+300"),
        ({"value": 1}, '{"value": 1}'),
    ],
)
def test_numbers_are_readable(value: Any, text: str) -> None:
    assert shown(value) == text


def test_numbers_are_whole_in_a_narrow_terminal() -> None:
    screen = Console(width=30, file=io.StringIO())
    with screen.capture() as printed:
        screen.print(table_of([{"series": "a_long_name", "count": 1_234_567, "mean": 12_345.6}]))
    assert "1,234,567  12,345.6" in printed.get()
    assert "…" not in printed.get()


def test_a_plot_fits_its_terminal_and_shows_the_highest_of_what_it_joins() -> None:
    lines = plot([None, 1.0, 5.0, *[1.0] * 97], 40)
    assert len(lines) == 10
    assert max(map(len, lines)) <= 40
    assert lines[0].startswith("           5 █")
    assert lines[-1].startswith("           1 ")
    assert plot([2.0, 2.0], 40)[0].strip() == ""
    assert plot([None], 40) == ["(no events)"]
