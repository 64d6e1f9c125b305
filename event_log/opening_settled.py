"""Opening what is settled: damaged, it is set aside, and what is intact of it saved."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from event_log.base import LogDamaged
from event_log.folders import make_folder, sync_folder
from event_log.heads import SettledHead
from event_log.options import Options
from event_log.pages import is_unfinished, make_whole
from event_log.salvage import Salvage
from event_log.settled import Foreign, Settled

AN_HOUR = 3600.0


class SettledOpening:
    """How one process comes by what is settled, with the right to open the log."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._path = options.path
        self.notices: list[str] = []
        """What people should know of it."""

    def open(self, boot: bytes, alone: bool) -> Settled:
        """Open what is settled; damaged, it is set aside, and what is intact of it saved."""
        folder = self._path / "settled"
        if alone:
            finish_salvage(folder)
        make_folder(folder)
        try:
            reason = self._known_damage(folder, alone)
            if reason is not None:
                raise LogDamaged(reason)
            return self._open_sound(folder, boot)
        except Foreign:
            raise
        except LogDamaged as fault:
            if alone and is_unfinished(folder / "data.mdb"):
                folder.rename(folder.with_name(f"settled.unfinished-{self._options.stamp()}"))
                make_folder(folder)
            else:
                self.notices.append(self._salvage(folder, str(fault), alone))
        return self._open_sound(folder, boot)

    def _known_damage(self, folder: Path, alone: bool) -> str | None:
        if alone and (folder / "data.mdb").exists() and not make_whole(folder / "data.mdb"):
            return "it is cut off"
        try:
            return (self._path / "damaged").read_text()
        except FileNotFoundError:
            return None

    def _open_sound(self, folder: Path, boot: bytes) -> Settled:
        begin = SettledHead(secrets.token_bytes(16), boot)
        settled = Settled(folder, begin, sync=self._options.sync != "never")
        try:
            sync_folder(folder)
            with settled.read() as txn:
                settled.head(txn)
        except BaseException:
            settled.close()
            raise
        return settled

    def _salvage(self, folder: Path, reason: str, alone: bool) -> str:
        """Returns the line for people. Raises LogDamaged where it may not be done, or nothing is left to save."""
        refusal = f"the log at {self._path} is damaged ({reason}); "
        if not alone:
            raise LogDamaged(f"{refusal}stop all processes that use it, and start again")
        if self._options.sync == "always":
            raise LogDamaged(
                f"{refusal}with SYNC=always nothing is given up unasked: restore a backup, or start once "
                "with TIDEMARK_SYNC=everysec to go on with what is intact"
            )
        if any(age < AN_HOUR for age in self._ages_of_salvages()):
            raise LogDamaged(f"{refusal}it was, less than an hour ago; look at the disk, and restore a backup")
        try:
            salvage = Salvage(folder / "data.mdb")
        except (LogDamaged, OSError) as fault:
            raise LogDamaged(f"{refusal}{fault}; restore a backup, or move {folder} away to start anew") from fault
        new = folder.with_name("settled.new")
        shutil.rmtree(new, ignore_errors=True)
        make_folder(new)
        salvage.write(new)
        sync_folder(new)
        aside = folder.with_name(f"settled.damaged-{self._options.stamp()}")
        folder.rename(aside)
        new.rename(folder)
        (self._path / "damaged").unlink(missing_ok=True)
        sync_folder(self._path)
        return (
            f"damage was found ({reason}); what is intact was saved, up to position {salvage.head.position:,} with "
            f"{salvage.lost:,} positions lost; the damaged files are in {aside.name}"
        )

    def _ages_of_salvages(self) -> list[float]:
        """How many seconds ago damaged files were set aside."""
        return [self._options.age_of(aside.name.partition("-")[2]) for aside in self._path.glob("settled.damaged-*")]


def finish_salvage(folder: Path) -> None:
    """Put the new files of a salvage that was cut short where they belong, or drop them where it must begin anew."""
    new = folder.with_name("settled.new")
    if new.is_dir():
        if folder.exists():
            shutil.rmtree(new)
        else:
            new.rename(folder)
            (folder.parent / "damaged").unlink(missing_ok=True)
            sync_folder(folder.parent)
