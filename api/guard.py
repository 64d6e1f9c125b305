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

from flask import Flask, current_app, request

from access.keys import READ, WRITE, Key
from access.places import Places
from access.watch import Watch
from api.problems import Problem
from event_log.writes import PLAIN, Budget, Conditions, Owner

_EXTENSION = "tidemark.guard"
_KEY = "tidemark.key"
"""Name of the key of a request in its environ; no client can put anything there, headers begin with HTTP_."""
EVENTS = "tidemark.events"
"""Key in the environ for the number of events of a request that stores more than one."""
_CHALLENGES = ['Basic realm="Tidemark", charset="UTF-8"', 'Bearer realm="Tidemark"']
"""A line each, Basic first: Chromium reads one scheme of a line, and asks for a password only at one it knows."""
_OF_INFLUX = "/dialects/influx/"
"""Below it a token may also come as InfluxDB's clients send it, `Authorization: Token <token>`."""
_MOST_NAMED = 3

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Need:
    """Scope and series that a route demands of a key."""

    scope: str | None
    """None: not even that there is one."""
    series: str | None = None
    """The argument of the path that is the series asked for."""


OPEN = Need(None)
_needs: dict[Callable[..., Any], Need] = {}


def needs(scope: str, *, series: str | None = None) -> Callable[[View], View]:
    """Open a view to the keys that may do this."""

    def note(view: View) -> View:
        _needs[view] = Need(scope, series)
        return view

    return note


def open_to_all(view: View) -> View:
    """Open a view to everybody, key or not."""
    _needs[view] = OPEN
    return view


def need_of(view: Callable[..., Any]) -> Need | None:
    """Return the need that the view has declared; None if it has not."""
    return _needs.get(unwrap(view))


def need_here() -> Need | None:
    """Return the need of the view of this request; None if there is none, or it has declared none."""
    view = current_app.view_functions.get(request.endpoint or "")
    return None if view is None else need_of(view)


def permit(series: str | None) -> None:
    """403 unless the key of this request, if it needs one, is for this series; None: for all of them together."""
    key: Key | None = request.environ.get(_KEY)
    if key is not None and not key.sees(series):
        raise _not_these(key, [] if series is None else [series])


def takes_events(view: Callable[..., Any]) -> bool:
    """Return whether the view is there to store events."""
    need = need_of(view)
    return need is not None and need.scope == WRITE


def permit_each(names: Iterable[str], events: int) -> None:
    """Note the number of events of this request; 403 unless its key is for every one of these series."""
    request.environ[EVENTS] = events
    key: Key | None = request.environ.get(_KEY)
    if key is not None and key.series is not None and (unseen := [name for name in names if name not in key.series]):
        raise _not_these(key, unseen)


def conditions(events: int = 1, base: Conditions = PLAIN) -> Conditions:
    """Return the conditions under which this request stores `events`: `base`, its series counted as those of its key,
    and paid from the budget of its key, where that has limits. 413 where it never could be."""
    key: Key | None = request.environ.get(_KEY)
    if key is not None and key.max_series is not None:
        base = replace(base, owner=Owner(key.name, key.max_series))
    if key is None or key.rate is None:
        return base
    rate = key.rate
    if events > rate.burst:
        raise Problem(
            413, f"The key {key.name} may write at most {rate.burst} events at once, not {events}; send them in parts."
        )
    return replace(base, budget=Budget(key.name, rate.per_second, rate.burst))


def look_again() -> None:
    """Look at the key of this request once more, now that its body is here, which may have taken its time. Raises 401
    where the key has expired or is gone, 403 where it may no longer do this."""
    key: Key | None = request.environ.get(_KEY)
    guard = guard_of()
    if key is not None and guard is not None:
        request.environ[_KEY] = guard.renewed(key)


def visible() -> Callable[[str], bool] | None:
    """Return a function that says whether a listing may show a series; None: all may be shown."""
    key: Key | None = request.environ.get(_KEY)
    return None if key is None or key.series is None else key.sees


def current_key() -> Key | None:
    """The key of this request; None where none is needed."""
    key: Key | None = request.environ.get(_KEY)
    return key


class Guard:
    """Stops requests, by the keys in force."""

    def __init__(self, watch: Watch, clock: Callable[[], int]) -> None:
        self.watch = watch
        self.places = Places()
        self._clock = clock

    def check(self) -> None:
        """401 or 403, unless this request may go on; its key is known from here on."""
        need = need_here()
        if need is OPEN or request.method == "OPTIONS":  # a browser asks for leave before it shows its key
            return
        environ = request.environ
        environ[_KEY] = key = self._key(environ)
        if request.endpoint is None:
            return  # there is nothing here, which is what the answer will say
        if need is None:
            raise Problem(403, "Nobody may ask this: its route does not say who may.")
        _refuse_scope(key, need)
        if need.series is not None:
            permit((request.view_args or {}).get(need.series))

    def renewed(self, key: Key) -> Key:
        """Return the key of this request as the file has it now. Raises 401 or 403."""
        found = self.watch.keys().renewed(key, self._clock())
        if found is None:
            raise _unknown("The access key has expired, or was withdrawn, while the body was sent; nothing was stored.")
        need = need_here()
        if need is not None:
            _refuse_scope(found, need)
        return found

    def lease(self, key: Key, still: Callable[[Key], bool]) -> Callable[[], bool]:
        """Return a function that says whether this key, in the file as it is then, still reads, and passes this."""

        def valid() -> bool:
            found = self.watch.keys().renewed(key, self._clock())
            return found is not None and READ in found.can and still(found)

        return valid

    def _key(self, environ: Mapping[str, Any]) -> Key:
        header = environ.get("HTTP_AUTHORIZATION")
        if header is None:
            raise _unknown("This needs an access key: send it as `Authorization: Bearer <token>`.")
        token = _token(header, "token" if environ["PATH_INFO"].startswith(_OF_INFLUX) else "bearer")
        key = None if token is None else self.watch.keys().find(token, self._clock())
        if key is None:
            raise _unknown("The access key sent is none: unknown, withdrawn or expired.")
        return key


def register(app: Flask, guard: Guard) -> None:
    """Put the guard before every route of `app`."""
    app.extensions[_EXTENSION] = guard
    app.before_request(guard.check)


def guard_of(app: Flask | None = None) -> Guard | None:
    """Return the guard of `app`, or of the application serving this request; None where no access keys are in use."""
    guard: Guard | None = (app or current_app).extensions.get(_EXTENSION)
    return guard


def lease(series: str | None) -> Callable[[], bool] | None:
    """Return whether a stream of this series, or of all, that begins now may still go on; None: always."""
    guard, key = guard_of(), current_key()
    return None if guard is None or key is None else guard.lease(key, lambda found: found.sees(series))


def lease_as_is() -> Callable[[], bool] | None:
    """Return whether a stream of what the key of this request sees may still go on; None: always."""
    guard, key = guard_of(), current_key()
    return None if guard is None or key is None else guard.lease(key, lambda found: found.series == key.series)


def _token(header: str, other: str) -> bytes | None:
    """The token in an Authorization header: what Bearer or this other scheme brings, or the password of Basic."""
    scheme, _, credentials = header.partition(" ")
    sent = credentials.strip().encode("latin-1", "replace")
    if scheme.lower() in ("bearer", other):
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
