"""Ask the server of this container whether it answers; Docker's HEALTHCHECK runs `python -m health_check`.

Under TLS the certificate may be for any name: it is this host that is asked, and nothing secret is said.
"""

from __future__ import annotations

import os
import ssl
import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection

SECONDS = 2
"""For one attempt; HEALTHCHECK allows both."""


def is_alive(port: int, tls: bool) -> bool:
    """Return whether `/health/live` of this host answers 200."""
    try:
        with closing(_connection(port, tls)) as connection:
            connection.request("GET", "/health/live")
            return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False


def _connection(port: int, tls: bool) -> HTTPConnection:
    if not tls:
        return HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=context)


def main() -> int:
    """Return 0 where the server answers, else 1. The likelier way comes first; the other leaves a line in the log."""
    port = int(os.environ.get("PORT") or 5000)
    likely = "certfile" in os.environ.get("GUNICORN_CMD_ARGS", "")
    return 0 if is_alive(port, likely) or is_alive(port, not likely) else 1


if __name__ == "__main__":
    sys.exit(main())
