"""The Prometheus that tests scrape with: one that is there, or Debian's."""

from __future__ import annotations

from tests import debian

PACKAGE = "prometheus"


def required(name: str) -> str:
    """Where `prometheus` or `promtool` is."""
    return debian.required(name, PACKAGE)


if __name__ == "__main__":
    print(debian.ensure(PACKAGE, "prometheus", "promtool"))
