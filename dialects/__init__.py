"""Drop-in wire formats of five other services, over the same events."""

from __future__ import annotations

from flask import Flask

PREFIX = "/dialects"


def register(app: Flask) -> None:
    """Give `app` every dialect, each below its own name, and all below the prefix the originals' way to say no."""
    from api.problems import add_shape
    from api.routes import docs
    from dialects import batches, influx, tickers, ticks, transactions
    from dialects.requests import Refused, answer_refused, detail_shape

    app.register_error_handler(Refused, answer_refused)
    add_shape(app, f"{PREFIX}/{influx.bp.name}/", influx.influx_shape, "InfluxError")  # the others' begins it
    add_shape(app, f"{PREFIX}/", detail_shape, "Detail")
    for dialect in (ticks, transactions, batches, tickers, influx):
        base = f"{PREFIX}/{dialect.bp.name}"
        app.register_blueprint(dialect.bp, url_prefix=base)
        app.register_blueprint(docs.bp, name=f"{dialect.bp.name}_docs", url_prefix=base)
