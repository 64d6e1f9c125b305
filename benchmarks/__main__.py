"""Every benchmark, one after the other: `python -m benchmarks`, or `make bench`.

Arguments go to all of them: `make bench ARGS=--quick` only shows that they work.
"""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = (
    "engine",
    "percentiles",
    "naive",
    "reading",
    "several",
    "ranges",
    "sending",
    "peers",
    "log",
    "uptime",
    "http",
    "redis",
    "streams",
    "holds",
    "backups",
    "symbols",
    "alerts",
    "overload",
    "reloads",
)


def main() -> None:
    failed = []
    for name in BENCHMARKS:
        print(f"\n## python -m benchmarks.{name}\n", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]], check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
