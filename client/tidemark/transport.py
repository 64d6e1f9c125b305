"""HTTP: one request, one reply; a request without a whole answer raises Unanswered."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import urllib3

from tidemark.errors import NotAllowed, Problem, TidemarkError

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
SILENCE_SECONDS = 30.0
"""A stream has a sign of life every 15 seconds; one that is silent for longer than this is dead."""
_ASK_AGAIN = urllib3.Retry(total=4, backoff_factor=0.1, status_forcelist=(503,), raise_on_status=False, redirect=0)
_LONGEST_DETAIL = 500
_TOKEN = re.compile("[!-~]+")
Query = Sequence[tuple[str, str]]


class Unanswered(TidemarkError):
    """No whole answer came; the request may have arrived."""


class Reply(NamedTuple):
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """Return the parsed JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def detail(self) -> str:
        """Return the server's message about the fault."""
        document = self.document
        said = document.get("detail") if isinstance(document, dict) else None
        return str(said or self.body[:_LONGEST_DETAIL].decode(errors="replace") or f"status {self.status}")

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait."""
        text = self.headers.get("Retry-After")
        if text is None:
            return None
        try:
            return max(float(text), 0.0)
        except ValueError:
            return _seconds_until(text, self.headers.get("Date"))

    def problem(self) -> Problem:
        """This answer as an exception."""
        return (NotAllowed if self.status in (401, 403) else Problem)(self.status, self.detail)


def _seconds_until(moment: str, now: str | None) -> float | None:
    """Seconds between two moments by the same clock, the server's."""
    try:
        return max((parsedate_to_datetime(moment) - parsedate_to_datetime(now or "")).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


class Transport:
    """Connections to one server, opened when they are needed; safe for threads, not for a forked child."""

    def __init__(self, url: str, token: str | None, read_seconds: float = READ_SECONDS) -> None:
        parts = urllib3.util.parse_url(url)
        if parts.scheme not in ("http", "https") or not parts.host:
            raise ValueError(f"a server's URL is such as http://localhost:5000, not {url!r}")
        if token is not None and not _TOKEN.fullmatch(token):
            raise ValueError("a token has visible ASCII characters only")
        self._url = url.rstrip("/")
        self._headers = {"User-Agent": "tidemark-python"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds)
        self._pool = urllib3.PoolManager(maxsize=4)

    def post(self, path: str, body: bytes, key: str) -> Reply:
        """Send events, once. Raises Unanswered."""
        headers = {**self._headers, "Content-Type": "application/json", "Idempotency-Key": key}
        try:
            answer = self._pool.request(
                "POST", self._url + path, body=body, headers=headers, timeout=self._timeout, retries=False
            )
        except urllib3.exceptions.HTTPError as fault:
            raise Unanswered(_words(fault)) from fault
        return Reply(answer.status, answer.headers, answer.data)

    def get(self, path: str, query: Query = ()) -> Reply:
        """Ask; a lost connection or a 503 is tried again some times. Raises Unanswered, NotAllowed or Problem."""
        try:
            answer = self._pool.request(
                "GET", self._address(path, query), headers=self._headers, timeout=self._timeout, retries=_ASK_AGAIN
            )
        except urllib3.exceptions.HTTPError as fault:
            raise Unanswered(f"no answer from {self._url}: {_words(fault)}") from fault
        reply = Reply(answer.status, answer.headers, answer.data)
        if reply.status != 200:
            raise reply.problem()
        return reply

    def open(self, path: str, query: Query, after: str | None) -> urllib3.BaseHTTPResponse:
        """Open a stream behind a position. Raises Unanswered, NotAllowed or Problem."""
        headers = self._headers | ({} if after is None else {"Last-Event-ID": after})
        patience = urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENCE_SECONDS)
        try:
            answer = self._pool.request(
                "GET",
                self._address(path, query),
                headers=headers,
                timeout=patience,
                retries=False,
                preload_content=False,
            )
            if answer.status != 200:
                raise Reply(answer.status, answer.headers, answer.data).problem()
        except urllib3.exceptions.HTTPError as fault:
            raise Unanswered(f"no answer from {self._url}: {_words(fault)}") from fault
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _address(self, path: str, query: Query) -> str:
        return self._url + path + ("?" + urlencode(query) if query else "")


def in_path(series: str) -> str:
    """Return a series name as a part of a path."""
    return "/" + quote(series, safe="")


def _words(fault: BaseException) -> str:
    return str(fault.__cause__ or fault) or type(fault).__name__
