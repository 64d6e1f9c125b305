"""The check for wheels finds what is missing, by the real pip, in an index of files made here."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests import wheels
from tests.test_requirements import pins

PLATFORMS = wheels.LINUX | wheels.MACOS


@pytest.fixture
def index(tmp_path: Path) -> list[str]:
    """pip's arguments for a folder: a wheel of `pure`, one of `compiled` for Python 3.14, the source of `source`."""
    make_wheel(tmp_path, "pure", "py3-none-any")
    make_wheel(tmp_path, "compiled", "cp314-cp314-manylinux_2_17_x86_64")
    (tmp_path / "source-1.0.tar.gz").write_bytes(b"")
    return ["--no-index", f"--find-links={tmp_path}"]


def make_wheel(folder: Path, name: str, tags: str) -> None:
    """Write a wheel with nothing in it."""
    with zipfile.ZipFile(folder / f"{name}-1.0-{tags}.whl", "w") as wheel:
        information = f"{name}-1.0.dist-info"
        wheel.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{information}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tags}\n")
        wheel.writestr(f"{information}/RECORD", "")


@pytest.mark.parametrize(
    ("python", "platform", "asked", "missing"),
    [
        ("3.14", "Linux x86-64", ["pure==1.0", "compiled==1.0", "source==1.0"], ["source==1.0"]),
        ("3.13", "Linux x86-64", ["compiled==1.0"], ["compiled==1.0"]),
        ("3.14", "macOS arm64", ["compiled==1.0"], ["compiled==1.0"]),
    ],
)
def test_what_has_no_wheel_is_named(
    index: list[str], python: str, platform: str, asked: list[str], missing: list[str]
) -> None:
    assert wheels.without_wheel(asked, python, PLATFORMS[platform], index) == missing


def test_a_pip_that_cannot_look_is_no_answer() -> None:
    with pytest.raises(RuntimeError, match="pip could not look for wheels"):
        wheels.without_wheel(["pure==1.0"], "3.14", PLATFORMS["Linux x86-64"], ["--no-such-option"])


def test_every_pin_is_asked_about() -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    platform = "macOS arm64" if sys.platform == "darwin" else "Linux x86-64"
    asked = dict(pin.split("==") for pin in wheels.pins(here, platform))
    assert {canonicalize_name(name): version for name, version in asked.items()} == pins("requirements.txt")


def test_a_pin_is_asked_about_where_its_marker_holds() -> None:
    old, new = ([pin for pin in wheels.pins(python, "macOS arm64") if "gevent" in pin] for python in ("3.11", "3.12"))
    assert len(old) == len(new) == 1
    assert old != new == [pin for pin in wheels.pins("3.11", "Linux arm64") if "gevent" in pin]
