"""deploy/tidemark.service is a unit that systemd takes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.servers import CHECKOUT

UNIT = CHECKOUT / "deploy" / "tidemark.service"


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text()
    assert "ExecStart=/opt/tidemark/.venv/bin/gunicorn app:app\n" in text
    assert "ExecStartPre=/opt/tidemark/.venv/bin/python -m settings\n" in text  # a wrong one in one line
    assert "LimitNOFILE=" in text
    if verify := shutil.which("systemd-analyze"):  # a container has none
        unit = tmp_path / UNIT.name
        true = shutil.which("true") or "/bin/true"
        unit.write_text(re.sub(r"/opt/tidemark/\.venv/bin/(gunicorn|python)", true, text))
        done = subprocess.run(
            [verify, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
