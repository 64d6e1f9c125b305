"""HTTP in, HTTP out: validate, call the service, serialise."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    """Give `app` every route of the API; the native ones at "" and, the stable form, at "/v1"."""
    from api import problems
    from api.routes import (
        alerts,
        docs,
        events,
        health,
        histogram,
        history,
        metrics,
        series,
        settings,
        statistics,
        streams,
    )

    problems.register(app)
    for module in (events, statistics, history, histogram, series, streams, alerts, settings, metrics, health, docs):
        app.register_blueprint(module.bp)
        app.register_blueprint(module.bp, name=f"v1_{module.bp.name}", url_prefix=f"/v1{module.bp.url_prefix or ''}")
