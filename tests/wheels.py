"""Does `make run` need no compiler? `make wheels` asks the package index for a wheel of each pin of requirements.txt.

Wanted: wheels of all pins for each of PYTHONS, on Linux with glibc and on macOS, else the exit status is 1. What is
missing for the Python to come and for musl is printed only.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from packaging.requirements import Requirement

CHECKOUT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PYTHON_TO_COME = "3.15"
GLIBC = ("manylinux2014", "manylinux_2_17", "manylinux_2_24", "manylinux_2_26", "manylinux_2_27", "manylinux_2_28")
MACOS_VERSIONS = ("10_9", "10_13", "10_15", "11_0", "12_0", "13_0", "14_0")
LINUX = {
    "Linux x86-64": [f"{name}_x86_64" for name in GLIBC],
    "Linux arm64": [f"{name}_aarch64" for name in GLIBC],
}
MACOS = {
    "macOS x86-64": [
        f"macosx_{version}_{machine}" for version in MACOS_VERSIONS for machine in ("x86_64", "universal2")
    ],
    "macOS arm64": [f"macosx_{version}_{machine}" for version in MACOS_VERSIONS for machine in ("arm64", "universal2")],
}
MUSL = {
    "musl x86-64": ["musllinux_1_1_x86_64", "musllinux_1_2_x86_64"],
    "musl arm64": ["musllinux_1_1_aarch64", "musllinux_1_2_aarch64"],
}
SIDE_BY_SIDE = 4
"""Number of pips at a time; they wait for the index most of the time."""
_MISSING = re.compile(r"No matching distribution found for (\S+)")


def pins(python: str, platform: str) -> list[str]:
    """Return the pins of requirements.txt that hold for a Python and a platform, without their markers.

    pip would look at the markers for the Python that it runs on itself, whatever it is asked to download for.
    """
    system = {"python_version": python, "sys_platform": "darwin" if platform in MACOS else "linux"}
    lines = (CHECKOUT / "requirements.txt").read_text().splitlines()
    found = [Requirement(pin) for line in lines if (pin := line.partition("#")[0].strip())]
    return [f"{pin.name}{pin.specifier}" for pin in found if pin.marker is None or pin.marker.evaluate(system)]


def without_wheel(pins: Iterable[str], python: str, tags: Iterable[str], where: Sequence[str] = ()) -> list[str]:
    """Return the pins of which pip finds no wheel; `where` are further arguments that name an index.

    pip names one at a time, so it is asked again without that one. Raises RuntimeError where it fails otherwise.
    """
    left, missing = list(pins), []
    while left and (pin := _first_without_wheel(left, python, tags, where)):
        missing.append(pin)
        left.remove(pin)
    return missing


def _first_without_wheel(pins: Iterable[str], python: str, tags: Iterable[str], where: Sequence[str]) -> str | None:
    with tempfile.TemporaryDirectory(prefix="tidemark-wheels-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", f"--python-version={python}", *(f"--platform={tag}" for tag in tags)]
        command += [f"--dest={folder}", *where, *pins]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    if found := _MISSING.search(done.stderr):
        return found[1]
    raise RuntimeError(f"pip could not look for wheels: {done.stderr.strip()}")


def report(pythons: Iterable[str], platforms: dict[str, list[str]]) -> int:
    """Print what is missing for each of these; return the number of wheels missing."""
    asked = list(product(pythons, platforms))
    count = 0
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        answers = pool.map(lambda place: without_wheel(pins(*place), place[0], platforms[place[1]]), asked)
        for (python, platform), missing in zip(asked, answers, strict=True):
            verdict = f"no wheel of {', '.join(missing)}" if missing else "complete"
            print(f"Python {python}, {platform}: {verdict}", flush=True)
            count += len(missing)
    return count


def main() -> int:
    """Print what is missing, first what must not be; return 1 for that, else 0."""
    missing = report(PYTHONS, LINUX | MACOS)
    print("Not promised:")
    report([PYTHON_TO_COME], LINUX | MACOS)
    report([*PYTHONS, PYTHON_TO_COME], MUSL)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
