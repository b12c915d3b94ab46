# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup takes nothing damaged over from an earlier one: it reads again what was there, and says so."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import processes, source_files
from ansible_collections.cora.backup.plugins.module_utils.archive_reader import ArchiveReader
from ansible_collections.cora.backup.plugins.module_utils.backup import create_backup
from ansible_collections.cora.backup.plugins.module_utils.errors import IntegrityError
from ansible_collections.cora.backup.plugins.module_utils.index import Frame
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings
from ansible_collections.cora.backup.plugins.module_utils.source_files import UnreadableError
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from faults.lab import check_backup, dump, engine, make_project, open_flags, tool
from support.tools import flip

#: Some minutes together: left out by test.sh --fast.
pytestmark = pytest.mark.slow

KINDS = 9


@pytest.fixture
def project(place: Path) -> Path:
    """A project of some twenty frames, one of them a file that is streamed."""
    path = make_project(place / "project")
    dice = random.Random(1)
    for number in range(300):
        (path / "src" / f"part{number:03}.bin").write_bytes(dice.randbytes(30_000))
    (path / "huge.bin").write_bytes(dice.randbytes(18_000_000))
    time.sleep(2.2)  # younger files are read again
    return path


class Lab:
    """A project with a backup that can be damaged."""

    def __init__(self, project: Path, vault: Path) -> None:
        self.project, self.vault = project, vault
        self.earlier = Path(self._backup()["path"])

    def _backup(self) -> dict[str, Any]:
        return engine("backup", project=str(self.project), vault=str(self.vault)).result()

    def flip(self, name: str, at: int) -> None:
        """Flip a byte of a file of the backup."""
        open_flags(self.earlier)
        flip(self.earlier / name, at)

    def back_up_again(self) -> dict[str, Any]:
        """The next backup; it is whole, holds the project as it is, and says what it found."""
        result = self._backup()
        path = Path(result["path"])
        check_backup(path)
        found = engine("verify", vault=str(self.vault), id_text=result["id"]).result()
        assert found["ok"], found["damaged"]
        unpacked = path.parent.parent / f"unpacked-{result['id']}"
        unpacked.mkdir()
        tool("tar", "-xzpf", path / "cora-full.tar.gz", "-C", unpacked)
        excluded = [word for name in (".git", "node_modules", "__pycache__", "data.db") for word in ("-x", name)]
        tool("diff", "-r", "--no-dereference", *excluded, self.project, unpacked)
        assert dump(str(unpacked / "data.db")) == dump(str(self.project / "data.db"))
        assert (path / "db" / "data.db").stat().st_ino != (self.earlier / "db" / "data.db").stat().st_ino
        assert self.earlier.name in " ".join(result["warnings"]), "nobody is told that the earlier backup is damaged"
        return result


@pytest.fixture
def lab(project: Path, vault: Path) -> Lab:
    return Lab(project, vault)


@pytest.mark.parametrize("part", range(KINDS))
def test_a_damaged_frame(part: int, lab: Lab) -> None:
    size = (lab.earlier / "cora-full.tar.gz").stat().st_size
    lab.flip("cora-full.tar.gz", min(size * part // (KINDS - 1), size - 100))
    reused = lab.back_up_again()["reused"]
    assert reused["damaged"] == 1
    assert reused["frames"] > 0, "the intact frames are of use still"


def test_sums_that_somebody_made_fit_the_damage(lab: Lab) -> None:
    lab.flip("cora-full.tar.gz", 5_000_000)
    sums = lab.earlier / "SHA256SUMS.txt"
    names = [line.split("  ", 1)[1] for line in sums.read_text(encoding="utf-8").splitlines()]
    sums.write_text(tool("sha256sum", *names, cwd=lab.earlier), encoding="utf-8")
    tool("sha256sum", "--quiet", "-c", sums.name, cwd=lab.earlier)
    assert lab.back_up_again()["reused"]["damaged"] == 1


def test_all_frames_damaged(lab: Lab) -> None:
    for at in range(20, (lab.earlier / "cora-full.tar.gz").stat().st_size - 100, 40_000):
        lab.flip("cora-full.tar.gz", at)
    assert lab.back_up_again()["reused"]["damaged"] > 5


@pytest.mark.parametrize("name", ["critical/README.md", "db/data.db"])
def test_a_damaged_plain_copy(name: str, lab: Lab) -> None:
    lab.flip(name, 30)
    reused = lab.back_up_again()["reused"]
    assert reused["damaged"] == 1
    assert reused["frames"] > 0


@pytest.mark.parametrize("name", ["INDEX.jsonl.gz", "REPORT.json", "SHA256SUMS.txt"])
def test_what_describes_it_is_damaged(name: str, lab: Lab) -> None:
    lab.flip(name, 70)
    assert lab.back_up_again()["reused"]["frames"] == 0


def test_cut_short(lab: Lab) -> None:
    open_flags(lab.earlier)
    archive = lab.earlier / "cora-full.tar.gz"
    os.truncate(archive, archive.stat().st_size // 2)
    assert lab.back_up_again()["reused"]["damaged"] >= 1


def test_an_older_backup_serves_where_the_newest_is_damaged(lab: Lab) -> None:
    older = lab.earlier.name
    lab.earlier = Path(engine("backup", project=str(lab.project), vault=str(lab.vault)).result()["path"])
    lab.flip("INDEX.jsonl.gz", 70)
    reused = lab.back_up_again()["reused"]
    assert reused["backup"] == older
    assert reused["frames"] > 0


@pytest.mark.parametrize("at", [5_000_000, 22_000_000], ids=["in a large file", "among small ones"])
def test_a_damaged_frame_before_a_large_file_that_changed(at: int, lab: Lab) -> None:
    """The damage is told while that file is streamed, to the thread that writes."""
    (lab.project / "zz-huge.bin").write_bytes(random.Random(2).randbytes(60_000_000))
    lab.flip("cora-full.tar.gz", at)
    assert lab.back_up_again()["reused"]["damaged"] == 1


def test_a_large_file_that_cannot_be_read_after_a_damaged_frame(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for what the writing thread is told, when reading the file is given up in that moment."""
    (lab.project / "zz-huge.bin").write_bytes(random.Random(2).randbytes(60_000_000))
    lab.flip("cora-full.tar.gz", 22_000_000)
    read = source_files.StreamedFile._data

    def failing(self: source_files.StreamedFile, offset: int, length: int) -> Iterator[bytes]:
        if self.status.st_size == 60_000_000:
            yield from read(self, offset, 50_000_000)
            raise UnreadableError("Input/output error")
        yield from read(self, offset, length)

    monkeypatch.setattr(source_files.StreamedFile, "_data", failing)
    result = create_backup(BackupSettings(project=str(lab.project), vault=str(lab.vault)))
    assert result["incomplete"] is True
    assert lab.earlier.name in " ".join(result["warnings"])
    found = verify_backup(str(lab.vault), result["id"])
    assert found["ok"], found["damaged"]


def test_the_index_fails_while_damaged_frames_are_looked_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.flip("cora-full.tar.gz", 100)

    def failing(_self: ArchiveReader) -> dict[int, str]:
        raise IntegrityError("INDEX.jsonl.gz cannot be read: Input/output error")

    monkeypatch.setattr(ArchiveReader, "damaged_frames", failing)
    assert_all_is_read(lab, create_backup(BackupSettings(project=str(lab.project), vault=str(lab.vault))))


def test_other_damage_each_time(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails just now: what was intact when it was looked at is not when it is copied."""
    attempts: list[int] = []

    def failing(_self: ArchiveReader, frames: Sequence[Frame], *_how: object) -> memoryview:
        attempts.append(len(frames))
        raise IntegrityError("Bytes 0 to 1 of the archive are damaged.")

    monkeypatch.setattr(processes, "cores", lambda: 1)  # else it is another process that counts
    with monkeypatch.context() as patched:
        patched.setattr(ArchiveReader, "unchecked_frames", failing)
        patched.setattr(ArchiveReader, "damaged_frames", lambda _self: {})
        result = create_backup(BackupSettings(project=str(lab.project), vault=str(lab.vault)))
    assert len(attempts) == 2
    assert_all_is_read(lab, result)


def assert_all_is_read(lab: Lab, result: dict[str, Any]) -> None:
    assert result["incomplete"] is False
    assert result["reused"]["frames"] == 0
    assert lab.earlier.name in " ".join(result["warnings"])
    assert os.listdir(lab.vault / ".cora" / "staging") == []
    found = verify_backup(str(lab.vault), result["id"])
    assert found["ok"], found["damaged"]
