"""HTTP: one request, one reply; a request without a whole answer raises Unanswered."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import BadStatusLine
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import urllib3

from tidemark.errors import NotAllowed, Problem, Unanswered

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
SILENCE_SECONDS = 30.0
"""A stream has a sign of life every 15 seconds; one that is silent for longer than this is dead."""
_ASK_AGAIN = urllib3.Retry(
    total=5,
    redirect=0,
    status_forcelist=(503,),
    backoff_factor=0.1,
    respect_retry_after_header=False,  # whoever asks waits 3 s at most, and not for as long as the server may say
    raise_on_status=False,
)
_LONGEST_DETAIL = 500
_CANNOT_CONNECT = urllib3.exceptions.NewConnectionError
_TOKEN = re.compile("[!-~]+")
Query = Sequence[tuple[str, str]]


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
        """Return what the server says is wrong, in one line."""
        document = self.document
        said = document.get("detail") if isinstance(document, dict) else self.body.decode(errors="replace")
        text = said if isinstance(said, str) else json.dumps(said) if said else ""
        return " ".join(text.split())[:_LONGEST_DETAIL] or _phrase(self.status)

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


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else f"status {status}"


class Transport:
    """Connections to one server, opened when they are needed; safe for threads, not for a forked child."""

    def __init__(self, url: str, token: str | None, read_seconds: float = READ_SECONDS) -> None:
        parts = urllib3.util.parse_url(url)
        if parts.scheme not in ("http", "https") or not parts.host:
            raise ValueError(f"a server's URL is such as http://localhost:5000, not {url!r}")
        if token is not None and not _TOKEN.fullmatch(token):
            raise ValueError("a token has visible ASCII characters only")
        self._url = url.rstrip("/")
        self._path = (parts.path or "").rstrip("/")
        self._headers = {"User-Agent": "tidemark-python"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, read_seconds), read=read_seconds)
        self._pool = self._connections()  # a PoolManager would take half as long again for a request

    def post(self, path: str, body: bytes, key: str, media_type: str = "application/json") -> Reply:
        """Send a body under a key, once. Raises Unanswered."""
        headers = {"Content-Type": media_type, "Idempotency-Key": key}
        return _read(self._request("POST", path, headers, body=body, timeout=self._timeout, retries=False))

    def get(self, path: str, query: Query = ()) -> Reply:
        """Ask; a lost connection or a 503 is tried again some times. Raises Unanswered, NotAllowed or Problem."""
        answer = self._request("GET", _address(path, query), timeout=self._timeout, retries=_ASK_AGAIN)
        reply = _read(answer)
        if reply.status != 200:
            raise reply.problem()
        return reply

    def get_once(self, path: str) -> Reply:
        """Ask once, and return the answer whatever its status. Raises Unanswered."""
        return _read(self._request("GET", path, timeout=self._timeout, retries=False))

    def open(self, path: str, query: Query, after: str | None) -> urllib3.BaseHTTPResponse:
        """Open a stream behind a position. Raises Unanswered, NotAllowed or Problem."""
        headers = {} if after is None else {"Last-Event-ID": after}
        patience = urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENCE_SECONDS)
        address = _address(path, query)
        answer = self._request("GET", address, headers, timeout=patience, retries=False, preload_content=False)
        if answer.status != 200:
            try:
                raise _read(answer).problem()
            except urllib3.exceptions.HTTPError as fault:
                raise Unanswered(_reason(fault), self._url) from fault
        return answer

    def _request(
        self, method: str, address: str, headers: Mapping[str, str] = {}, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.urlopen(method, self._path + address, headers={**self._headers, **headers}, **options)
        except urllib3.exceptions.HTTPError as fault:
            raise Unanswered(_reason(fault), self._url) from fault

    def close(self) -> None:
        """Close the connections; what is asked afterwards opens others."""
        closing, self._pool = self._pool, self._connections()
        closing.close()

    def _connections(self) -> urllib3.HTTPConnectionPool:
        return urllib3.connection_from_url(self._url, maxsize=4)


def in_path(series: str) -> str:
    """Return a series name as a part of a path."""
    return "/" + quote(series, safe="")


def _address(path: str, query: Query) -> str:
    return path + ("?" + urlencode(query) if query else "")


def _read(answer: urllib3.BaseHTTPResponse) -> Reply:
    return Reply(answer.status, answer.headers, answer.data)


def _reason(fault: BaseException) -> str:
    """Return a few words for people."""
    if isinstance(fault, urllib3.exceptions.MaxRetryError) and fault.reason is not None:
        return _reason(fault.reason)
    if isinstance(fault, urllib3.exceptions.TimeoutError) and not isinstance(fault, _CANNOT_CONNECT):
        return "timeout"
    cause = next((each for each in (fault.__cause__, *fault.args) if isinstance(each, Exception)), fault)
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused"
    if isinstance(cause, socket.gaierror):
        return "unknown host"
    if isinstance(cause, BadStatusLine) and not isinstance(cause, ConnectionError):
        return "what answers is not HTTP"
    if isinstance(cause, ConnectionError) or isinstance(fault, urllib3.exceptions.ProtocolError):
        return "connection lost"
    return (getattr(cause, "strerror", None) or str(cause) or type(cause).__name__).lower()
