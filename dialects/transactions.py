"""Drop-in for a service of transactions: statistics of those of the last 60 seconds."""

from __future__ import annotations

from flask import Blueprint, Response

from access.keys import DELETE, READ, WRITE
from api.answers import Outcome
from api.context import service
from api.guard import needs, permit
from api.idempotency import KEY
from api.openapi.components import COUNT, NUMBER_OR_NULL, POSITIONED, WRITTEN, object_of, share
from api.openapi.operation import JSON, Body, Operation, Reply, describe
from api.reading.bodies import read_body
from dialects import last_minute
from dialects.descriptions import KEY_ERRORS, OLD, WRITE_ERRORS
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


_TRANSACTION = Transaction()


@bp.post("/transactions", strict_slashes=False)
@needs(WRITE)
def add_transaction() -> Response:
    """Take in a transaction; 204 when it is older than 60 seconds."""
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
def end_transactions() -> Response:
    """Forget them all; there may be none."""
    permit(SERIES)
    return last_minute.answer_added(Outcome(None, 204, service().end_series(SERIES).position))


@bp.get("/statistics", strict_slashes=False)
@needs(READ)
def statistics() -> Response:
    """Statistics of the transactions of the last 60 seconds; all zero when there was none."""
    permit(SERIES)
    return last_minute.statistics(SERIES, "sum", "avg", "max", "min", "count")


share(
    MinuteOfTransactions=object_of(
        {"sum": NUMBER_OR_NULL, "avg": NUMBER_OR_NULL, "max": NUMBER_OR_NULL, "min": NUMBER_OR_NULL, "count": COUNT}
    )
)
describe(
    {
        add_transaction: Operation(
            tag="dialect transactions",
            summary="Take a transaction",
            bodies={
                JSON: (
                    Body(schema=Transaction, examples={"transaction": {"amount": 12.5, "timestamp": 1750948200000}}),
                )
            },
            headers=(KEY,),
            replies={201: Reply(description="Stored.", headers=WRITTEN), 204: OLD},
            errors=WRITE_ERRORS,
            key_errors=KEY_ERRORS,
        ),
        end_transactions: Operation(
            tag="dialect transactions",
            summary="Forget all transactions",
            replies={204: Reply(description="There are none left.", headers=POSITIONED)},
            errors=("503-Detail",),
            key_errors=KEY_ERRORS,
        ),
        statistics: Operation(
            tag="dialect transactions",
            summary="Statistics of the transactions of the last 60 seconds; all zero when empty",
            replies={
                200: Reply(
                    description="The statistics.",
                    schema="MinuteOfTransactions",
                    example={"sum": 300.0, "avg": 150.0, "max": 200.0, "min": 100.0, "count": 2},
                    headers=POSITIONED,
                )
            },
            errors=("503-Detail",),
            key_errors=KEY_ERRORS,
        ),
    }
)
