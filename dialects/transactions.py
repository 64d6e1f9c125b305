"""Drop-in for a service of transactions: statistics of those of the last 60 seconds."""

from __future__ import annotations

from flask import Blueprint, Response

from api.openapi.components import COUNT, NUMBER_OR_NULL, POSITIONED, object_of, share
from api.openapi.operation import JSON, Body, Operation, Reply, describe
from dialects import last_minute
from dialects.descriptions import OLD, WRITE_ERRORS
from dialects.fields import Milliseconds, Model, Number
from dialects.requests import load_body

SERIES = "transactions"
"""Where they are kept among the other series."""

bp = Blueprint("transactions", __name__)


class Transaction(Model):
    """An amount and when it was moved."""

    amount = Number(required=True)
    timestamp = Milliseconds(required=True)


_TRANSACTION = Transaction()


@bp.post("/transactions", strict_slashes=False)
def add_transaction() -> Response:
    """Take in a transaction; 204 when it is older than 60 seconds."""
    transaction = load_body(_TRANSACTION)
    accepted = last_minute.add(SERIES, transaction["timestamp"], transaction["amount"])
    return last_minute.empty_answer(201 if accepted.stored else 204, accepted.position)


@bp.get("/statistics", strict_slashes=False)
def statistics() -> Response:
    """Statistics of the transactions of the last 60 seconds; all zero when there was none."""
    return last_minute.statistics(SERIES, "sum", "avg", "max", "min", "count")


share(
    MinuteOfTransactions=object_of(
        {
            "sum": NUMBER_OR_NULL,
            "avg": NUMBER_OR_NULL,
            "max": NUMBER_OR_NULL,
            "min": NUMBER_OR_NULL,
            "count": COUNT,
        }
    ),
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
            replies={201: Reply(description="Stored.", headers=POSITIONED), 204: OLD},
            errors=WRITE_ERRORS,
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
        ),
    }
)
