"""The Alertmanager that tests send to: one that is there, or Debian's."""

from __future__ import annotations

from tests import debian

PACKAGE = "prometheus-alertmanager"


def required() -> str:
    """Where it is."""
    return debian.required(PACKAGE, PACKAGE)


if __name__ == "__main__":
    print(debian.ensure(PACKAGE, PACKAGE))
