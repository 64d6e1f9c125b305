"""deploy/tidemark.service is a unit that systemd takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.servers import CHECKOUT

UNIT = CHECKOUT / "deploy" / "tidemark.service"


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text()
    assert "ExecStart=/opt/tidemark/.venv/bin/gunicorn app:app\n" in text
    assert "LimitNOFILE=" in text
    if verify := shutil.which("systemd-analyze"):  # a container has none
        unit = tmp_path / UNIT.name
        unit.write_text(text.replace("/opt/tidemark/.venv/bin/gunicorn", shutil.which("true") or "/bin/true"))
        done = subprocess.run(
            [verify, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
