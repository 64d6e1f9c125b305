"""The guard: where access keys are in use, it stops every request unless its route says who may ask it.

Each view says beside its route what it needs: `needs(READ, series="series")` names the argument of the path that is the
series asked for, `open_to_all` that it needs nothing. A view that does neither is closed. What only the view knows (the
series in a body or a query) it puts to `permit`, before it stores or answers anything.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from inspect import unwrap
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, current_app, request

from access.keys import READ, WRITE, Key
from access.watch import Watch
from api.context import service
from api.problems import Problem
from event_log.base import PLAIN, Budget, Terms

_KEY = "tidemark.key"
"""Where the key of a request stands in its environ; no client can put anything there, headers begin with HTTP_."""
EVENTS = "tidemark.events"
"""How many events a request has that stores more than one."""
_CHALLENGES = ['Basic realm="Tidemark", charset="UTF-8"', 'Bearer realm="Tidemark"']
"""A line each, Basic first: Chromium reads one scheme of a line, and asks for a password only at one it knows."""
_SAFE = ("GET", "HEAD")
_MOST_NAMED = 3

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Need:
    """What a route asks of a key."""

    scope: str | None
    """None: not even that there is one."""
    series: str | None = None
    """The argument of the path that is the series asked for; where it is not given all series are."""
    all_series: bool = False
    """Whether the answer covers every series."""


OPEN = Need(None)
_needs: dict[Callable[..., Any], Need] = {}


def needs(scope: str, *, series: str | None = None, all_series: bool = False) -> Callable[[View], View]:
    """Open a view to the keys that may do this."""

    def note(view: View) -> View:
        _needs[view] = Need(scope, series, all_series)
        return view

    return note


def open_to_all(view: View) -> View:
    """Open a view to everybody, key or not."""
    _needs[view] = OPEN
    return view


def need_of(view: Callable[..., Any]) -> Need | None:
    """What the view has said that it needs; None if it has not."""
    return _needs.get(unwrap(view))


def permit(series: str | None) -> None:
    """403 unless the key of this request, if it needs one, is for this series; None: for all of them together."""
    key: Key | None = request.environ.get(_KEY)
    if key is not None and not key.sees(series):
        raise _not_these(key, [] if series is None else [series])


def takes_events(view: Callable[..., Any]) -> bool:
    """Whether the view is there to store events."""
    need = need_of(view)
    return need is not None and need.scope == WRITE


def permit_each(names: Iterable[str], events: int) -> None:
    """403 unless the key of this request is for every one of these series, of so many events."""
    request.environ[EVENTS] = events
    key: Key | None = request.environ.get(_KEY)
    if key is not None and key.series is not None and (unseen := [name for name in names if name not in key.series]):
        raise _not_these(key, unseen)


def terms(events: int = 1, base: Terms = PLAIN) -> Terms:
    """The terms on which this request stores so many events: `base`, and paid from the budget of its key if that has
    one. 413 where it never could be."""
    key: Key | None = request.environ.get(_KEY)
    if key is None or key.rate is None:
        return base
    rate = key.rate
    if events > rate.burst:
        raise Problem(
            413, f"The key {key.name} may write at most {rate.burst} events at once, not {events}; send them in parts."
        )
    return replace(base, budget=Budget(key.name, rate.per_second, rate.burst, service().clock()))


def visible() -> Callable[[str], bool] | None:
    """Which series a listing may show; None: all."""
    key: Key | None = request.environ.get(_KEY)
    return None if key is None or key.series is None else key.sees


def current_key() -> Key | None:
    """The key of this request; None where none is needed."""
    key: Key | None = request.environ.get(_KEY)
    return key


class Guard:
    """Stops requests, by the keys in force."""

    def __init__(self, watch: Watch, clock: Callable[[], int], origins: Iterable[str] = ()) -> None:
        self.watch = watch
        self._clock = clock
        self._origins = frozenset(origins) - {"*"}

    def check(self) -> None:
        """401 or 403, unless this request may go on; its key is known from here on."""
        need = self._need()
        if need is OPEN or request.method == "OPTIONS":  # a browser asks for leave before it shows its key
            return
        environ = request.environ
        environ[_KEY] = key = self._key(environ)
        if request.endpoint is None:
            return  # there is nothing here, which is what the answer will say
        if need is None:
            raise Problem(403, "Nobody may ask this: its route does not say who may.")
        _refuse_scope(key, need)
        if need.all_series or need.series is not None:
            permit((request.view_args or {}).get(need.series) if need.series else None)
        self._refuse_foreign_page(environ)

    def lease(self, series: str | None) -> Callable[[], bool]:
        """Whether the key of this request, in the file as it is then, still opens a stream of this series."""
        key: Key = request.environ[_KEY]

        def valid() -> bool:
            found = self.watch.keys().renewed(key, self._clock())
            return found is not None and READ in found.can and found.sees(series)

        return valid

    def _need(self) -> Need | None:
        view = current_app.view_functions.get(request.endpoint or "")
        return None if view is None else need_of(view)

    def _key(self, environ: Mapping[str, Any]) -> Key:
        header = environ.get("HTTP_AUTHORIZATION")
        if header is None:
            raise _unknown("This needs an access key: send it as `Authorization: Bearer <token>`.")
        token = _token(header)
        key = None if token is None else self.watch.keys().find(token, self._clock())
        if key is None:
            raise _unknown("The access key sent is none: unknown, withdrawn or expired.")
        return key

    def _refuse_foreign_page(self, environ: Mapping[str, Any]) -> None:
        """A browser sends a password with whatever any page of the web makes it ask. What may change something, or is
        read past the rules for pages of other origins (a WebSocket), has to come from a page of ours."""
        if request.method in _SAFE and not (request.url_rule and request.url_rule.websocket):
            return
        origin = environ.get("HTTP_ORIGIN")
        if origin is None or environ["HTTP_AUTHORIZATION"][:5].lower() != "basic":
            return
        ours = environ.get("HTTP_SEC_FETCH_SITE") == "same-origin" or urlsplit(origin).netloc == request.host
        if not (ours or origin in self._origins):
            raise Problem(403, "A page of another origin may do this only if CORS_ORIGINS names it.")


def register(app: Flask, guard: Guard) -> None:
    """Put the guard before every route of `app`."""
    app.before_request(guard.check)


def _token(header: str) -> bytes | None:
    """The token in an Authorization header: what Bearer brings, or the password of Basic."""
    scheme, _, credentials = header.partition(" ")
    sent = credentials.strip().encode("latin-1", "replace")
    if scheme.lower() == "bearer":
        return sent
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(sent, validate=True).partition(b":")[2]
    except binascii.Error:
        return None


def _unknown(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": _CHALLENGES})


def _refuse_scope(key: Key, need: Need) -> None:
    if need.scope not in key.can:
        may = ", ".join(sorted(key.can))
        raise Problem(403, f"This needs a key that may {need.scope}; the key {key.name} may {may}.")


def _not_these(key: Key, names: list[str]) -> Problem:
    asked = ", ".join(map(repr, names[:_MOST_NAMED])) or "all series together"
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return Problem(403, f"The key {key.name} is for the series {key.series}, not for {asked}{more}.")
