"""`python -m alerts check`: say whether a file of rules is good, or what is wrong with it, and where."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from access.keys import BadKeys
from access.watch import read
from alerts.file import BadAlerts, parse_file
from settings import PREFIX, BadSetting, read_settings

_FAULT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, or 2 after a line that says what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m alerts", description="Alerts of Tidemark.")
    commands = parser.add_subparsers(required=True, metavar="check")
    check = commands.add_parser("check", help="say whether the file is good")
    check.add_argument("file", nargs="?", help=f"the file of rules; without: {PREFIX}ALERTS")
    try:
        print(_check(parser.parse_args(arguments).file or os.environ.get(PREFIX + "ALERTS")))
    except (BadAlerts, BadKeys, BadSetting) as fault:
        print(f"alerts: {fault}", file=sys.stderr)
        return _FAULT
    return 0


def _check(name: str | None) -> str:
    if not name:
        raise BadAlerts(f"which file? name it, or set {PREFIX}ALERTS")
    found = parse_file(read(Path(name)), read_settings().retention)
    return f"good: {len(found.rules)} alert(s), {len(found.receivers)} receiver(s)"


if __name__ == "__main__":
    sys.exit(main())
