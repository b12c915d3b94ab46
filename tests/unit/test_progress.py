# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress file: what somebody who looks on is told."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils import progress as module
from ansible_collections.cora.backup.plugins.module_utils.progress import Progress
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from support.engine import Document, backup, restore
from support.trees import MIB, fill

KEYS = {"phase", "files_done", "files_total", "bytes_done", "bytes_total"}
PHASES = ("scan", "databases", "archive", "seal", "verify", "extract")


def lines(path: Path) -> list[Document]:
    text = path.read_text("ascii")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def assert_sound(found: list[Document]) -> None:
    before: Document = {"phase": None}
    for line in found:
        assert set(line) == KEYS
        assert line["phase"] in PHASES
        for unit in ("files", "bytes"):
            done, total = line[f"{unit}_done"], line[f"{unit}_total"]
            assert isinstance(done, int)
            assert total is None or 0 <= done <= total
            if line["phase"] == before["phase"] and line[f"{unit}_total"] == before[f"{unit}_total"]:
                assert done >= before[f"{unit}_done"]
        before = line


def test_backup_verify_and_restore_tell_how_far_they_are(
    project: Path, vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_INTERVAL_SECONDS", 0.0)  # this run is over before there would be a second line
    for number in range(50):
        fill(os.fsencode(project / f"f{number}"), 30_000)
    fill(os.fsencode(project / "large"), 40 * MIB)
    size = sum(path.stat().st_size for path in project.rglob("*") if path.is_file())
    backup(project, vault, progress_file=str(tmp_path / "backup"))
    found = lines(tmp_path / "backup")
    assert_sound(found)
    assert {"archive", "seal"} <= {line["phase"] for line in found}
    archive = [line for line in found if line["phase"] == "archive"]
    assert (archive[0]["files_done"], archive[0]["bytes_done"]) == (0, 0)
    # counted beside the work, which may well be over first
    assert {(line["files_total"], line["bytes_total"]) for line in archive} <= {(None, None), (57, size)}
    assert len({line["bytes_done"] for line in archive}) > 1, "a large file is told of while it is read"

    verify_backup(str(vault), "latest", progress_file=str(tmp_path / "verify"))
    found = lines(tmp_path / "verify")
    assert_sound(found)
    assert found[-1]["phase"] == "verify"
    assert found[-1]["files_done"] == 57

    restore(vault, project=tmp_path / "out", id_text=os.listdir(vault / ".cora/verified")[0][:-5], scenario="full",
            progress_file=str(tmp_path / "restore"))  # fmt: skip
    found = lines(tmp_path / "restore")
    assert_sound(found)
    assert found[-1] == {
        "phase": "extract",
        "files_done": 57,
        "files_total": 57,
        "bytes_done": size,
        "bytes_total": size,
    }


def test_lines_are_appended(project: Path, vault: Path, tmp_path: Path) -> None:
    (tmp_path / "p").write_text('{"mine": 1}\n')
    backup(project, vault, progress_file=str(tmp_path / "p"))
    first, *rest = lines(tmp_path / "p")
    assert first == {"mine": 1}
    assert_sound(rest)


def test_a_line_is_written_at_once_when_a_phase_begins(tmp_path: Path) -> None:
    progress = Progress(str(tmp_path / "p"))
    assert progress.wanted
    progress.start("archive", files_total=3, bytes_total=5)
    assert lines(tmp_path / "p") == [
        {"phase": "archive", "files_done": 0, "files_total": 3, "bytes_done": 0, "bytes_total": 5}
    ]
    progress.advance(files=1, size_bytes=2)
    progress.advance(files=2, size_bytes=3)
    progress.close()
    assert lines(tmp_path / "p")[-1]["files_done"] == 3
    progress.close()


def test_lines_are_few(tmp_path: Path) -> None:
    progress = Progress(str(tmp_path / "p"))
    progress.start("archive")
    for _ in range(100_000):
        progress.advance(files=1)
    progress.close()
    assert len(lines(tmp_path / "p")) < 100


def test_no_file_costs_nothing(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    progress = Progress(None)
    assert not progress.wanted
    progress.start("archive", files_total=1)
    progress.advance(files=1, size_bytes=1)
    assert os.listdir("/proc/self/fd") == before
    progress.close()
    assert (progress.files_done, progress.bytes_done) == (1, 1)


def test_totals_that_are_counted_beside_the_work_appear_when_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(module, "_COUNT_AFTER_SECONDS", 0.0)
    progress = Progress(str(tmp_path / "progress"))
    progress.start("archive")
    progress.count_beside(lambda: (57, os.nice(0)))
    deadline = time.monotonic() + 60
    while lines(tmp_path / "progress")[-1]["files_total"] is None and time.monotonic() < deadline:
        progress.advance()
        time.sleep(0.001)
    last = lines(tmp_path / "progress")[-1]
    assert (last["files_total"], last["bytes_total"]) == (57, 19), "counted when nobody else wants to work"
    progress.start("seal")
    progress.close()
    assert lines(tmp_path / "progress")[-1] == {
        **lines(tmp_path / "progress")[-1],
        "phase": "seal",
        "files_total": None,
    }


def test_a_total_that_was_too_low_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes from the earlier backup, and the project has grown since."""
    monkeypatch.setattr(module, "_INTERVAL_SECONDS", 0)
    progress = Progress(str(tmp_path / "p"))
    progress.start("archive", files_total=2, bytes_total=1000)
    for _number in range(3):
        progress.advance(files=1, size_bytes=10)
    progress.close()
    found = [(line["files_done"], line["files_total"], line["bytes_total"]) for line in lines(tmp_path / "p")]
    assert (2, 2, 1000) in found
    assert found[-1] == (3, None, None)
    assert_sound(lines(tmp_path / "p"))


def test_what_is_done_soon_is_not_counted(tmp_path: Path) -> None:
    progress = Progress(str(tmp_path / "progress"))
    progress.start("archive")
    progress.count_beside(lambda: ((tmp_path / "counted").write_text("too early"), 1))
    time.sleep(0.2)
    progress.close()
    assert not (tmp_path / "counted").exists()


def test_a_count_that_fails_or_is_not_waited_for_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COUNT_AFTER_SECONDS", 0.0)

    def count() -> tuple[int, int]:
        raise OSError("a directory that cannot be read")

    def count_long() -> tuple[int, int]:
        time.sleep(3600)
        return 1, 1

    progress = Progress(str(tmp_path / "progress"))
    for function in (count, count_long):
        progress.start("archive")
        progress.count_beside(function)
        progress.advance(files=1)
    progress.close()
    assert {line["files_total"] for line in lines(tmp_path / "progress")} == {None}
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # none is left
