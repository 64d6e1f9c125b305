"""The files of an LMDB environment are of one format, whatever the surroundings say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import CHECKOUT

OPEN = """
import sys
from pathlib import Path
from event_log.environment import Environment
print(Environment(Path(sys.argv[1]), 1, sync=False).lmdb.lib_version()[0])
"""


@pytest.mark.parametrize("wanted", ["0", "1"])
def test_an_environment_variable_does_not_decide_the_format(tmp_path: Path, wanted: str) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", OPEN, str(tmp_path)],
        cwd=CHECKOUT,
        env=os.environ | {"LMDB_DEFAULT_LIB_VERSION": wanted},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == "0\n"
