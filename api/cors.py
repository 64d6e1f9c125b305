"""Leave for pages of other origins to call the API. Registered only when CORS_ORIGINS names some."""

from __future__ import annotations

from flask import Flask, Response, request

from api.answers import POSITION

_DAY_SECONDS = 86_400


def register(app: Flask, origins: tuple[str, ...]) -> None:
    """Answer pages of `origins`; `*` stands for all."""
    anyone = "*" in origins

    def allow(response: Response) -> Response:
        headers = response.headers
        if not anyone:
            response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin is None or not (anyone or origin in origins):
            return response
        headers["Access-Control-Allow-Origin"] = "*" if anyone else origin
        headers["Access-Control-Expose-Headers"] = f"{POSITION}, Retry-After, X-Request-ID"
        if request.method == "OPTIONS":
            headers["Access-Control-Allow-Methods"] = headers.get("Allow", "GET, HEAD, OPTIONS, POST")
            headers["Access-Control-Allow-Headers"] = "Content-Type, Last-Event-ID, X-Request-ID"
            headers["Access-Control-Max-Age"] = str(_DAY_SECONDS)
        return response

    app.after_request(allow)
