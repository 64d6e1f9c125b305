"""Drop-in for a service of price batches: statistics of the last 10^k values of up to MAX_SYMBOLS symbols."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, Response
from marshmallow import fields

from access.keys import READ, WRITE
from api.answers import Outcome
from api.context import service
from api.guard import conditions, needs, permit, permit_each
from api.idempotency import KEY, at_most_once
from api.openapi.components import COUNT, NUMBER, NUMBER_OR_NULL, POSITIONED, TEXT, WRITTEN, object_of, share
from api.openapi.operation import JSON, Body, Operation, Reply
from api.reading.bodies import read_body
from dialects.answers import END, answer
from dialects.descriptions import READ_ERRORS, WRITE_ERRORS
from dialects.fields import Model, Numbers, Symbol, WholeNumber
from dialects.plain_batches import read_plain_batch
from dialects.requests import MISSING, Refused, load, load_body, load_query
from event_log.errors import TooManyKeepers
from event_log.outcomes import Stored
from event_log.writes import Conditions

SMALLEST_K = 1
LARGEST_K = 8
KEEP = 10**LARGEST_K
"""Number of values of a symbol that are retained."""

bp = Blueprint("batches", __name__)


class NewBatch(Model):
    """Values of a symbol, oldest to newest."""

    symbol = Symbol(required=True)
    values = Numbers(required=True)


class Exponent(Model):
    """Parameters of statistics: the number of values to cover, as a power of ten."""

    k = WholeNumber(required=True)


class StatsQuery(Model):
    """A symbol, and the number of its values to cover."""

    symbol = fields.String(required=True, error_messages={"required": MISSING})
    k = WholeNumber(required=True)


_BATCH_STATISTICS = Reply(
    "The statistics; `values` is how many there were.",
    "BatchStatistics",
    {"min": 1.0, "max": 3.0, "last": 3.0, "avg": 2.0, "var": 0.6666666666666666, "values": 3},
    headers=POSITIONED,
)
share(
    BatchAdded=object_of({"status": TEXT, "message": TEXT}),
    BatchStatistics=object_of(
        {
            "min": NUMBER_OR_NULL,
            "max": NUMBER_OR_NULL,
            "last": NUMBER,
            "avg": NUMBER_OR_NULL,
            "var": NUMBER_OR_NULL,
            "values": COUNT,
        }
    ),
)
_EXAMPLE = {"symbol": "BTC/USD", "values": [1, 2.5, 3]}
_ADDED = {"status": "success", "message": "Added batch for symbol: BTC/USD"}
_NEW_BATCH, _EXPONENT, _STATS_QUERY = NewBatch(), Exponent(), StatsQuery()


@bp.post("/add_batch/")
@bp.post("/add_batch")
@needs(WRITE)
@Operation(
    bodies={JSON: (Body(schema=NewBatch, examples={"batch": _EXAMPLE}),)},
    headers=(KEY,),
    replies={201: Reply("Stored.", "BatchAdded", _ADDED, headers=WRITTEN)},
    errors=WRITE_ERRORS,
)
def add_batch() -> Response:
    """Take up to 10,000 values of a symbol, oldest to newest, stamped on arrival."""
    body = read_body()
    batch = load_body(_NEW_BATCH, body, read_plain_batch)
    symbol, values = batch["symbol"], batch["values"]
    permit_each([symbol], len(values))
    try:
        accepted = at_most_once(
            JSON, body, lambda once: service().add_many([symbol], None, None, values, _conditions(len(values), once))
        )
    except TooManyKeepers as error:
        raise Refused(400, f"Maximum number of symbols ({service().rules.max_symbols}) reached") from error
    outcome = added_outcome(symbol, accepted)
    return answer(outcome.body, outcome.status, position=outcome.position)


def added_outcome(symbol: str, accepted: Stored) -> Outcome:
    """Return the answer to a batch that was taken in."""
    body = {"status": "success", "message": f"Added batch for symbol: {symbol}"}
    return Outcome(body, 201, accepted.position, END)


def _conditions(events: int, once: Conditions) -> Conditions:
    return conditions(events, replace(once, keep=KEEP, symbols=True))


@bp.get("/stats/")
@bp.get("/stats")
@needs(READ)
@Operation(query=StatsQuery, replies={200: _BATCH_STATISTICS}, errors=READ_ERRORS)
def stats_by_query() -> Response:
    """Statistics of the last 10^k values of a symbol."""
    query = load_query(_STATS_QUERY)
    permit(query["symbol"])
    return _stats(query["symbol"], query["k"])


@bp.get("/stats/<series:symbol>/<k>", strict_slashes=False)
@bp.get("/stats/<series:symbol>/<k>/", strict_slashes=False)
@needs(READ, series="symbol")
@Operation(
    path={"k": {"type": "integer", "minimum": SMALLEST_K, "maximum": LARGEST_K}},
    replies={200: _BATCH_STATISTICS},
    errors=READ_ERRORS,
)
def stats_by_path(symbol: str, k: str) -> Response:
    """Statistics of the last 10^k values of a symbol."""
    return _stats(symbol, load(_EXPONENT, {"k": k}, "path")["k"])


def _stats(symbol: str, k: int) -> Response:
    if not SMALLEST_K <= k <= LARGEST_K:
        raise Refused(422, f"Window size exponent (k={k}) must be between {SMALLEST_K} and {LARGEST_K}")
    found = service().statistics(symbol, last=10**k, edges=True)
    if found.last is None:
        raise Refused(404, f"Symbol {symbol} not found", position=found.position)
    summary = found.summary
    body = {
        "min": summary.min,
        "max": summary.max,
        "last": found.last[1],
        "avg": summary.mean,
        "var": summary.variance,
        "values": summary.count,
    }
    return answer(body, position=found.position)
