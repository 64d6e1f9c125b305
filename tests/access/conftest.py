"""A file of keys, for each test its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from .guarded import write_keys


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """It holds all of `KEYS`."""
    path = tmp_path / "keys.toml"
    write_keys(path)
    return path
