from __future__ import annotations

import io
import threading
from collections import defaultdict
from collections.abc import Callable

import pytest

from simulator.options import read_options
from simulator.report import Console
from simulator.simulation import ServerNotThere, Simulation, check_server
from tests.simulator.fakes import CLOSED_PORT
from tests.simulator.stub import Received, Scripted, Stub


def simulate(url: str, line: str, wanted: Callable[[], bool] = lambda: True) -> str:
    out = io.StringIO()
    options = read_options([*line.split(), "--timeout", "60s", "--url", url])
    Simulation(options, Console(out, io.StringIO())).run(wanted)
    return out.getvalue()


def values(requests: list[Received]) -> dict[str, list[float]]:
    by_series: dict[str, list[float]] = defaultdict(list)
    for request in requests:
        body = request.json
        for event in body if isinstance(body, list) else [body]:
            by_series[event["series"]] += [event["value"]] if "value" in event else event["values"]
    return dict(by_series)


@pytest.mark.parametrize("form", ["", "--batch 7", "--batch 7 --format columns"])
def test_a_seed_gives_the_same_events_for_any_number_of_threads(form: str) -> None:
    posted = []
    for threads in (1, 3, 8):
        with Stub() as server:
            simulate(server.url, f"--seed 5 --rate 0 --count 100 --instruments 8 --threads {threads} {form}")
        posted.append(values(server.received))
    assert posted[0] == posted[1] == posted[2]
    assert sum(map(len, posted[0].values())) == 100


def test_another_seed_gives_others() -> None:
    with Stub() as server:
        simulate(server.url, "--rate 0 --count 10 --seed 1")
        simulate(server.url, "--rate 0 --count 10 --seed 2")
    assert all(first != second for first, second in values(server.received).values())


def test_each_thread_has_a_connection() -> None:
    with Stub() as server:
        simulate(server.url, "--rate 0 --count 100 --threads 4")
    assert len({request.client for request in server.received}) == 4


def test_each_instrument_starts_at_its_own_price() -> None:
    with Stub() as server:
        simulate(server.url, "--rate 0 --count 3 --instruments a,b,c --start 10,200,3000 --step 0")
    assert values(server.received) == {"a": [10], "b": [200], "c": [3000]}


def test_prices_are_drawn_as_asked() -> None:
    with Stub() as server:
        simulate(server.url, "--rate 0 --count 200 --instruments a,b --start 10,1000 --distribution pareto --spread 1")
    posted = values(server.received)
    assert 10 <= min(posted["a"]) < 20
    assert max(posted["a"]) > 100
    assert min(posted["b"]) >= 1000


def test_a_run_says_what_it_does_and_did() -> None:
    with Stub(Scripted(422, b'{"detail": "No."}')) as server:
        said = simulate(server.url, "--rate 0 --count 20 --seed 7").splitlines()
    assert said[0] == (
        f"Posting 10 instruments (ITEM_00 ... ITEM_09) to {server.url}: as fast as possible, seed 7; Ctrl+C ends it"
    )
    assert said[-7] == "Summary"
    assert said[-6].startswith("  events    19 accepted in ")
    assert said[-3:] == ["  statuses  201: 19  422: 1", "  errors", "    1 x status 422, such as: No."]


def test_the_asked_pace_is_named() -> None:
    with Stub() as server:
        said = simulate(server.url, "--rate 5000 --count 2 --instruments one --idle 10s:1s")
    assert "Posting one to" in said
    assert said.count("5,000.0 events/s asked, outside bursts and silences") == 2


def test_a_quiet_run_prints_the_summary_only() -> None:
    with Stub() as server:
        assert simulate(server.url, "--rate 0 --count 2 -q").startswith("Summary\n")


def test_a_verbose_run_prints_each_request() -> None:
    with Stub() as server:
        said = simulate(server.url, "--rate 0 --count 2 -v --seed 7").splitlines()
    assert "POST /event  ITEM_00 119.29  -> 201 in " in said[1]
    assert "POST /event  ITEM_01 131.42  -> 201 in " in said[2]


def test_threads_share_the_rate_until_the_duration_ends() -> None:
    with Stub() as server:
        said = simulate(server.url, "--rate 200 --threads 3 --duration 300ms --jitter 0.5")
    # How many a loaded machine manages is not for this test; tests of pacing say when each is due.
    assert 3 <= len(server.received) <= 60  # never more than asked
    assert float(said.partition("accepted in ")[2].partition(" s:")[0]) >= 0.3


def test_a_run_that_is_no_longer_wanted_ends_with_its_summary() -> None:
    with Stub() as server:
        said = simulate(server.url, "--rate 1000", lambda: len(server.received) < 3)
    assert "Summary" in said
    assert len(server.received) >= 3


def test_a_wait_the_server_asks_for_does_not_outlast_the_run() -> None:
    with Stub(Scripted(503, b"{}", {"Retry-After": "60"})) as server:
        said = simulate(server.url, "--rate 0 --duration 0.3")
    assert "1 x status 503" in said
    assert len(server.received) == 1


def test_a_run_ends_when_nobody_reads_it() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with Stub() as server:
        console = Console(Gone(), io.StringIO())
        Simulation(read_options(["--url", server.url]), console).run()
    assert console.closed


def test_no_thread_and_no_connection_outlives_a_run() -> None:
    with Stub() as server:
        before = set(threading.enumerate())
        simulate(server.url, "--rate 0 --count 40 --threads 4")
        left = [thread for thread in set(threading.enumerate()) - before if "process_request" not in thread.name]
    assert left == []


def test_a_healthy_and_an_unhealthy_server_are_there() -> None:
    unhealthy = Scripted(503, b'{"status": "unhealthy", "detail": "The log is full."}')
    with Stub() as server:
        check_server(server.url, 60)
    with Stub(gets={"/health": unhealthy}) as server:
        check_server(server.url, 60)


def test_a_server_that_is_not_there() -> None:
    url = f"http://127.0.0.1:{CLOSED_PORT}"
    with pytest.raises(ServerNotThere) as missing:
        check_server(url, 5)
    assert str(missing.value) == (
        f"no server answers at {url} (connection refused); start one with `make run`, or name another with --url"
    )


@pytest.mark.parametrize("answer", [Scripted(404, b"<html>"), Scripted(200, b"<html>")])
def test_something_else_that_answers(answer: Scripted) -> None:
    with (
        Stub(gets={"/health": answer}) as server,
        pytest.raises(ServerNotThere, match=rf"is not Tidemark \(GET /health: {answer.status}\); name the right"),
    ):
        check_server(server.url, 60)
