"""Drop-in for a service of transactions: statistics of those of the last 60 seconds."""

from __future__ import annotations

from flask import Blueprint, Response

from access.keys import DELETE, READ, WRITE
from api.answers import Outcome
from api.context import service
from api.guard import needs, permit
from api.idempotency import KEY
from api.openapi.components import COUNT, NUMBER_OR_NULL, POSITIONED, WRITTEN, object_of, share
from api.openapi.operation import JSON, Body, Operation, Reply
from api.reading.bodies import read_body
from dialects import last_minute
from dialects.descriptions import OLD, WRITE_ERRORS
from dialects.fields import Milliseconds, Model, Number
from dialects.requests import load_body
from event_log.outcomes import Stored

SERIES = "transactions"
"""Name of their series."""

bp = Blueprint("transactions", __name__)


class Transaction(Model):
    """An amount and when it was moved."""

    amount = Number(required=True)
    timestamp = Milliseconds(required=True)


share(
    MinuteOfTransactions=object_of(
        {"sum": NUMBER_OR_NULL, "avg": NUMBER_OR_NULL, "max": NUMBER_OR_NULL, "min": NUMBER_OR_NULL, "count": COUNT}
    )
)
_EXAMPLE = {"amount": 12.5, "timestamp": 1750948200000}
_TRANSACTION = Transaction()


@bp.post("/transactions", strict_slashes=False)
@needs(WRITE)
@Operation(
    bodies={JSON: (Body(schema=Transaction, examples={"transaction": _EXAMPLE}),)},
    headers=(KEY,),
    replies={201: Reply("Stored.", headers=WRITTEN), 204: OLD},
    errors=WRITE_ERRORS,
)
def add_transaction() -> Response:
    """Take a transaction; 204 when it is older than 60 seconds."""
    body = read_body()
    transaction = load_body(_TRANSACTION, body)
    permit(SERIES)
    return last_minute.answer_added(
        added_outcome(last_minute.add(body, SERIES, transaction["timestamp"], transaction["amount"]))
    )


def added_outcome(accepted: Stored) -> Outcome:
    """Return the answer to a transaction that was taken in, or was too old."""
    return Outcome(None, 201 if accepted.stored else 204, accepted.position)


@bp.delete("/transactions", strict_slashes=False)
@needs(DELETE)
@Operation(replies={204: Reply("There are none left.", headers=POSITIONED)}, errors=(503,))
def end_transactions() -> Response:
    """Forget all transactions; there may be none."""
    permit(SERIES)
    return last_minute.answer_added(Outcome(None, 204, service().end_series(SERIES).position))


@bp.get("/statistics", strict_slashes=False)
@needs(READ)
@Operation(
    replies={
        200: Reply(
            "The statistics.",
            "MinuteOfTransactions",
            {"sum": 300.0, "avg": 150.0, "max": 200.0, "min": 100.0, "count": 2},
            headers=POSITIONED,
        )
    },
    errors=(503,),
)
def statistics() -> Response:
    """Statistics of the transactions of the last 60 seconds; all zero when empty."""
    permit(SERIES)
    return last_minute.statistics(SERIES, "sum", "avg", "max", "min", "count")
