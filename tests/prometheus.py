"""The Prometheus that tests ask and scrape with: one that is there, or Debian's."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import debian
from tests.servers import is_ok, reserve_port, until

PACKAGE = "prometheus"


def required(name: str) -> str:
    """Where `prometheus` or `promtool` is."""
    return debian.required(name, PACKAGE)


@contextmanager
def running(directory: Path, configuration: str) -> Iterator[str]:
    """A Prometheus with this configuration and its data in `directory`/data; its URL."""
    (directory / "prometheus.yml").write_text(configuration)
    with reserve_port() as reservation:
        port = reservation.getsockname()[1]
        command = [required("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
        with (directory / "printed").open("ab") as printed:
            process = subprocess.Popen(command, cwd=directory, stdout=printed, stderr=printed)
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: is_ok(f"{url}/-/ready"), "Prometheus to be ready")
            yield url
        finally:
            process.terminate()
            process.wait(60)


if __name__ == "__main__":
    print(debian.ensure(PACKAGE, "prometheus", "promtool"))
