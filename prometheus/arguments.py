"""The parameters of a call: those of a form, which is bounded before it is parsed, before those of the query."""

from __future__ import annotations

from urllib.parse import parse_qsl

from flask import g, request
from werkzeug.datastructures import CombinedMultiDict, MultiDict

from api.reading.bodies import read_body
from prometheus.answers import bad_data

LONGEST_FORM = 64 * 1024
"""In bytes; with MOST_FIELDS it takes some milliseconds at most."""
MOST_FIELDS = 100
_FORM = "application/x-www-form-urlencoded"


def arguments() -> CombinedMultiDict[str, str]:
    """Return the parameters of this request, which are read once. Raises Problem."""
    if "arguments" not in g:
        g.arguments = CombinedMultiDict([_form(), request.args])
    found: CombinedMultiDict[str, str] = g.arguments
    return found


def argument(name: str, default: str = "") -> str:
    """Return the first value of a parameter."""
    value: str = arguments().get(name, default)
    return value


def _form() -> MultiDict[str, str]:
    if request.method != "POST" or request.mimetype != _FORM:
        return MultiDict()
    body = read_body()
    if len(body) > LONGEST_FORM:
        raise bad_data(f"the form is longer than {LONGEST_FORM} bytes; ask in several requests")
    try:
        return MultiDict(parse_qsl(body.decode(errors="replace"), True, max_num_fields=MOST_FIELDS))
    except ValueError as fault:
        raise bad_data(f"the form has more than {MOST_FIELDS} fields; ask in several requests") from fault
