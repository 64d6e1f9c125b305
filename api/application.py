"""Flask, but for its manners: no 500 for a query that is not UTF-8, no media type without a body."""

from __future__ import annotations

from urllib.parse import parse_qsl

from flask import Flask, Request, Response
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.utils import cached_property

_QUOTE = "werkzeug.url_quote"
"""What Werkzeug does with percent-encoded bytes that are not UTF-8: it leaves them encoded."""


class LenientRequest(Request):
    """A request whose query may hold any bytes; `api.reading.queries.load_query` refuses those that are not UTF-8."""

    @cached_property
    def args(self) -> MultiDict[str, str]:
        """The parameters of the query. Werkzeug's own raises at bytes that are not UTF-8, unless percent-encoded."""
        query = self.query_string.decode(errors=_QUOTE)
        return ImmutableMultiDict(parse_qsl(query, keep_blank_values=True, errors=_QUOTE))


class Application(Flask):
    """The class of the one application."""

    request_class = LenientRequest

    def make_default_options_response(self) -> Response:
        """204 with `Allow`; Flask's own is an empty text/html."""
        response = super().make_default_options_response()
        response.status_code = 204
        del response.headers["Content-Type"]
        return response
