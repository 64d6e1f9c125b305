"""Flask, adjusted: queries that are not UTF-8, answers without a body, series in paths, pages of other origins."""

from __future__ import annotations

import re
from functools import cache
from time import perf_counter_ns
from urllib.parse import parse_qsl

from flask import Flask, Request, Response, request
from flask.globals import request_ctx
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.routing import BaseConverter
from werkzeug.utils import cached_property

from api.answers import POSITION, SERIES_KNOWN, SERIES_MATCHED, OrjsonProvider
from api.guard import EVENTS, takes_events
from metrics.meter import REASONS, Meter

_QUOTE = "werkzeug.url_quote"
"""Error handler with which Werkzeug leaves percent-encoded bytes that are not UTF-8 encoded."""
_EXPOSED = (
    f"Events-Expired, Fields-Left-Out, Idempotent-Replayed, {POSITION}, Retry-After, {SERIES_KNOWN}, {SERIES_MATCHED}, "
    "X-Request-ID"
)
_DAY_SECONDS = 86_400
FAILED = "tidemark.failed"
"""In the environ of a request: the error with which it has failed on the fast path, and must not be tried again."""
NOWHERE = "none"
"""Name in metrics for the route of a request that has none."""
_USUAL_HEADERS = "Authorization, Content-Encoding, Content-Type, Idempotency-Key, Last-Event-ID, X-Request-ID"
_HEADER_NAMES = re.compile(r"[\w!#$%&'*+.^`|~-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]+)*", re.ASCII)
_LONGEST_LIST = 1000
_CONVERTER = re.compile(r"<\w+:")


@cache
def route_of(rule: str) -> str:
    """Return the name of a route in metrics: its path without the converters, such as `/statistics/<series>`."""
    return _CONVERTER.sub("<", rule)


class LenientRequest(Request):
    """A request whose query may hold any bytes; `load_query` of `api.reading` refuses those that are not UTF-8."""

    @cached_property
    def args(self) -> MultiDict[str, str]:
        """The parameters of the query. Werkzeug's own raises at bytes that are not UTF-8, unless percent-encoded."""
        query = self.query_string.decode(errors=_QUOTE)
        return ImmutableMultiDict(parse_qsl(query, keep_blank_values=True, errors=_QUOTE))


class SeriesConverter(BaseConverter):
    """`<series:series>` takes any characters, slashes too, so that `BTC/USD` and `BTC%2FUSD` are one series;
    `series_in_path` of `api.reading` says what is wrong with them."""

    regex = r"[\s\S]+"
    part_isolating = False
    weight = 200


class WholeSeriesConverter(SeriesConverter):
    """`<whole_series:series>` leaves alone what is another resource of a series: deleting its events deletes nothing,
    and so a series whose own name ends like that can only fall idle."""

    regex = r"(?![\s\S]*/(?:events|stream)$)[\s\S]+"


class Application(Flask):
    """The class of the one application."""

    request_class = LenientRequest
    json_provider_class = OrjsonProvider

    def __init__(self, import_name: str) -> None:
        super().__init__(import_name, static_folder=None)
        self.meter: Meter | None = None
        self.url_map.converters["series"] = SeriesConverter
        self.url_map.converters["whole_series"] = WholeSeriesConverter
        self.url_map.merge_slashes = False

    def full_dispatch_request(self) -> Response:
        """Flask's own, counted."""
        started = perf_counter_ns()
        status = 500  # of a bug, which Flask answers elsewhere
        try:
            response = super().full_dispatch_request()
            status = response.status_code
            return response
        finally:
            if self.meter is not None:
                self._count(self.meter, status, perf_counter_ns() - started)

    def dispatch_request(self) -> ResponseReturnValue:
        """Flask's own, but for what must not be tried again."""
        failed: Exception | None = request.environ.get(FAILED)
        if failed is not None:
            raise failed
        return super().dispatch_request()

    def _count(self, meter: Meter, status: int, nanoseconds: int) -> None:
        asked = request_ctx.request
        rule = asked.url_rule
        if rule is None:
            meter.request(NOWHERE, asked.method, status, nanoseconds)
        elif rule.websocket and status < 400:  # counted when it has ended
            meter.request(route_of(rule.rule), asked.method, 101, None)
        else:
            meter.request(route_of(rule.rule), asked.method, status, nanoseconds)
            if status >= 400 and status in REASONS and takes_events(self.view_functions[rule.endpoint]):
                meter.refused(REASONS[status], asked.environ.get(EVENTS, 1))

    def make_default_options_response(self) -> Response:
        """204 with `Allow`, in the order of every 405; Flask's own is an empty text/html, in the order of a set."""
        response = super().make_default_options_response()
        response.headers["Allow"] = ", ".join(sorted(response.allow))
        response.status_code = 204
        del response.headers["Content-Type"]
        return response


def allow_origins(app: Flask, origins: tuple[str, ...]) -> None:
    """Allow pages of these origins to call the API, with credentials; or all pages (`*`), without."""
    anyone = "*" in origins

    def allow(response: Response) -> Response:
        headers = response.headers
        if not anyone:
            response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin is None or not (anyone or origin in origins):
            return response
        headers["Access-Control-Allow-Origin"] = "*" if anyone else origin
        if not anyone:
            headers["Access-Control-Allow-Credentials"] = "true"
        headers["Access-Control-Expose-Headers"] = _EXPOSED
        if request.method == "OPTIONS":
            headers["Access-Control-Allow-Methods"] = headers.get("Allow", "GET, HEAD, OPTIONS, POST")
            headers["Access-Control-Allow-Headers"] = _allowed_headers()
            headers["Access-Control-Max-Age"] = str(_DAY_SECONDS)
        return response

    app.after_request(allow)


def _allowed_headers() -> str:
    """Those that a preflight asks for, whichever they are: no header of a request is a secret here. Not `*`, which
    browsers take for all but Authorization, and with credentials for a name."""
    wanted = request.headers.get("Access-Control-Request-Headers", "")
    return wanted if len(wanted) <= _LONGEST_LIST and _HEADER_NAMES.fullmatch(wanted) else _USUAL_HEADERS
