"""Clients that post without pause, and remember what was acknowledged and what may have been stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from threading import Event, Thread

import requests

from tests.servers import Server

SERIES = ("a", "b", "c")


class Load:
    """Posts events that all differ in value: one by one, and in batches that belong together."""

    def __init__(self, server: Server, clients: int = 4) -> None:
        self.acknowledged: list[tuple[str, list[float]]] = []
        self.sent: list[tuple[str, list[float]]] = []
        self._server = server
        self._numbers = count(1)
        self._stopped = Event()
        self._threads = [Thread(target=self._run, args=(SERIES[i % len(SERIES)], i % 2)) for i in range(clients)]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Posts for as long as the `with` lasts."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in self._threads:
                thread.join()

    def values(self, series: str, requests: list[tuple[str, list[float]]]) -> set[float]:
        """The values of a series in these requests."""
        return {value for name, values in requests if name == series for value in values}

    def _run(self, series: str, batches: int) -> None:
        with requests.Session() as session:
            while not self._stopped.is_set():
                self._post(session, series, [float(next(self._numbers)) for _ in range(5 if batches else 1)])

    def _post(self, session: requests.Session, series: str, values: list[float]) -> None:
        self.sent.append((series, values))
        try:
            answer = session.post(self._server.url + "/events", json={"series": series, "values": values}, timeout=60)
        except requests.RequestException:
            return  # it may have been stored or not; the client cannot know
        assert answer.status_code == 201, answer.text
        self.acknowledged.append((series, values))
