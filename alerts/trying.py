"""Evaluation of each rule of a file now, by requests to a running service as any client sends them; nothing changes."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from alerts.file import AlertsFile
from alerts.rules import ZERO_WHEN_EMPTY, Rule
from times import SECOND, format_duration, parse_timestamp, wall_clock

SECONDS = 30.0
"""Maximum seconds that one request may take."""
MOST_SERIES = 20
"""Number of series of a pattern that are shown."""
PAGE = 1000


class BadServer(Exception):
    """The service did not answer; the message is one line."""


class Server:
    """A service that runs."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url.rstrip("/")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **query: str | int | None) -> Any:
        """Return the JSON of an answer. Raises BadServer."""
        asked = urlencode({name: value for name, value in query.items() if value is not None})
        if not self._url.startswith(("http://", "https://")):
            raise BadServer("--url must begin with http:// or https://")
        try:
            request = urllib.request.Request(f"{self._url}{path}?{asked}", headers=self._headers)
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as fault:
            with fault:
                detail = fault.read(PAGE).decode(errors="replace").strip()
            raise BadServer(f"{self._url}{path} answers {fault.code}: {detail}") from None
        except (OSError, ValueError, http.client.HTTPException, ssl.SSLError) as fault:
            raise BadServer(f"{self._url} does not answer: {fault}") from None

    def all(self, name: str) -> Iterator[Any]:
        """Yield all entries of a list that comes in pages. Raises BadServer."""
        after = None
        while True:
            page = self.get(f"/{name}", limit=PAGE, after=after)
            yield from page[name]
            after = page["next"]
            if after is None:
                return


def lines(file: AlertsFile, server: Server) -> Iterator[str]:
    """Yield a line for each alert: rule, series, value, whether the condition holds, and the state in force."""
    states = _states(server)
    for rule in file.rules.values():
        names = _matching(rule, server) if rule.is_pattern else [rule.exact]
        if not names:
            yield f"{rule.name}: no series matches {rule.series}"
        for name in names[:MOST_SERIES]:
            value = _value(rule, name, server)
            holds = "no value" if value is None else "the condition holds" if rule.is_met(value) else "it does not hold"
            state = states.get((rule.name, name), "not in force")
            yield f"{rule.name}: {name or 'all series'}: {_shown(rule, value)}: {holds}; {state}"
        if len(names) > MOST_SERIES:
            yield f"{rule.name}: and {len(names) - MOST_SERIES} more series"


def _shown(rule: Rule, value: float | None) -> str:
    if value is None:
        return f"{rule.statistic} of nothing"
    if rule.condition == "absent":
        return f"silent for {format_duration(round(value / SECOND) * SECOND) if value >= SECOND else '0s'}"
    return f"{rule.statistic} is {value:.15g}"


def _states(server: Server) -> dict[tuple[str, str], str]:
    return {(alert["name"], alert["series"] or ""): alert["state"] for alert in server.all("alerts")}


def _matching(rule: Rule, server: Server) -> list[str]:
    return [each["series"] for each in server.all("series") if rule.pattern.match(each["series"])]


def _value(rule: Rule, series: str, server: Server) -> float | None:
    """Return the value that a rule looks at; for `absent` the microseconds since the last event."""
    path = f"/statistics/{quote(series, safe='/')}" if series else "/statistics"
    if rule.condition == "absent":
        last = server.get(path, last=1, include="last")["last"]
        return None if last is None else float(max(wall_clock() - parse_timestamp(last["timestamp"]), 0))
    window = None if rule.window is None else format_duration(rule.window)
    asked = "count" if rule.statistic == "rate" else rule.statistic
    answer = server.get(path, window=window, last=rule.last, include=asked)
    found = answer.get(asked, list(answer.values())[-1])  # a percentile is told by its shortest name, last of all
    if isinstance(found, dict):
        return float(found["value"])
    if found is None:
        return 0.0 if rule.statistic in ZERO_WHEN_EMPTY else None
    return found * SECOND / rule.window if rule.statistic == "rate" and rule.window else float(found)
