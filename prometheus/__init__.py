"""Prometheus' HTTP API over our events: PromQL as far as it means windows. Below `/prometheus`."""

from __future__ import annotations

from flask import Flask

PREFIX = "/prometheus"


def register(app: Flask) -> None:
    """Give `app` the routes, and the paths below the prefix Prometheus' shape of errors."""
    from api.problems import add_shape
    from prometheus import answers, routes

    for version, name in (("", "prometheus"), ("/v1", "v1_prometheus")):
        add_shape(app, f"{version}{PREFIX}/", answers.error_shape, "PrometheusError")
        app.register_blueprint(routes.bp, name=name, url_prefix=version + PREFIX)
