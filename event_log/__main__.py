"""`python -m event_log backup <folder>`: copy the log that TIDEMARK_LOG_URL names, while the service goes on."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from event_log.errors import LogError
from event_log.urls import FILE
from settings import PREFIX, BadSetting, read_settings

NICENESS = 10
"""Added to that of the process: the service needs the processor first."""
_FAULT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, or 2 after a line that says what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m event_log", description="Look after the log of a service.")
    commands = parser.add_subparsers(required=True, metavar="backup")
    backup = commands.add_parser("backup", help="copy the log to a new folder; the service may run meanwhile")
    backup.add_argument("folder", type=Path, help="the folder to make")
    options = parser.parse_args(arguments)
    try:
        print(_back_up(options.folder))
    except (BadSetting, LogError, OSError) as fault:
        print(f"event_log: {fault}", file=sys.stderr)
        return _FAULT
    return 0


def _back_up(target: Path) -> str:
    from event_log.files.backup import back_up
    from event_log.files.opening import OpenLog, Options
    from event_log.files.syncing import sync

    settings = read_settings()
    if not settings.log_url.startswith(FILE):
        raise BadSetting(
            f"{PREFIX}LOG_URL names no folder of files: a log on Redis is backed up as Redis is (BGSAVE), and one in "
            "memory is not"
        )
    source = Path(settings.log_url.removeprefix(FILE))
    if not (source / "head").exists():
        raise BadSetting(f"there is no log at {source}")
    files = OpenLog(Options(source, settings.log_max_bytes, settings.sync))
    try:
        position, size = back_up(files, target)
    finally:
        files.close(lambda: sync(files))
    return f"position {position}: {size / 2**20:,.1f} MiB in {target}"


if __name__ == "__main__":
    os.nice(NICENESS)
    sys.exit(main())
