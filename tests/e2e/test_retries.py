"""Requests sent again under their `Idempotency-Key`: each counts once, whoever takes it and whatever crashes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.servers import Server, until

WORKERS = 2


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(["-w", str(WORKERS)]) as running:
        running.wait_for_workers(WORKERS)
        yield running


def post(server: Server, values: list[int], key: str, path: str = "/events") -> requests.Response:
    return server.post(path, {"values": values}, headers={"Idempotency-Key": key})


def told(answer: requests.Response) -> tuple[int, bytes, str]:
    return answer.status_code, answer.content, answer.headers["Log-Position"]


def is_replay(answer: requests.Response) -> bool:
    marks: Mapping[str, str] = answer.headers
    return marks.get("Idempotent-Replayed") == "true"


def count(server: Server) -> int:
    return int(server.get("/statistics").json()["count"])


def test_every_worker_gives_the_answer_of_the_first(server: Server) -> None:
    before = count(server)
    first = post(server, [1, 2], "each")
    assert (first.status_code, is_replay(first)) == (201, False)
    again = server.ask_each_worker(lambda: post(server, [1, 2], "each"))
    assert [told(answer) for answer in again] == [told(first)] * WORKERS
    assert all(map(is_replay, again))
    others = server.ask_each_worker(lambda: post(server, [3], "each").status_code)
    assert others == [422] * WORKERS
    assert count(server) == before + 2


def test_of_many_at_once_exactly_one_stores(server: Server) -> None:
    before = count(server)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: post(server, [number % 6] * 3, f"at-once-{number % 6}"), range(120)))
    assert sum(not is_replay(answer) for answer in answers) == 6
    assert len({told(answer) for answer in answers}) == 6
    assert count(server) == before + 18


def test_it_outlives_killed_workers_and_the_whole_service(server: Server) -> None:
    before = count(server)
    answers = {str(number): told(post(server, [number], f"killed-{number}")) for number in range(20)}
    killed = server.workers()
    for worker in killed:
        os.kill(worker, signal.SIGKILL)
    until(lambda: not set(killed) & set(server.workers()), "the killed to be gone")
    server.wait_for_workers(WORKERS)
    check(server, answers)
    answers |= {str(number): told(post(server, [number], f"killed-{number}")) for number in range(20, 40)}
    server.kill()
    server.start()
    server.wait_for_workers(WORKERS)
    check(server, answers)
    assert count(server) == before + 40


def check(server: Server, answers: Mapping[str, tuple[int, bytes, str]]) -> None:
    for number, answer in answers.items():
        again = post(server, [int(number)], f"killed-{number}")
        assert told(again) == answer
        assert is_replay(again)


@pytest.mark.soak(kills=(2, 30))
def test_a_client_that_sends_again_until_it_is_answered_counts_once(server: Server, kills: int) -> None:
    """Workers die while it sends: it cannot know what was stored, and need not."""
    before = count(server)

    def send(number: int) -> int:
        while True:
            try:
                answer = post(server, [number] * 2, f"storm-{number}")
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):  # cut before or in its answer
                continue
            if answer.status_code != 503:
                return answer.status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = pool.map(send, range(100 * kills))
        for _ in range(kills):
            os.kill(until(server.workers, "a worker")[0], signal.SIGKILL)
            server.wait_for_workers(WORKERS)
        assert set(statuses) == {201}
    assert count(server) == before + 200 * kills
