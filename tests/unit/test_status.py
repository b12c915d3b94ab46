# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Status: what is wrong is named, what is well is not; one table of a fleet, worst first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import status as engine
from ansible_collections.cora.backup.plugins.module_utils import timers
from ansible_collections.cora.backup.plugins.module_utils.checkpoint import save
from ansible_collections.cora.backup.plugins.module_utils.restore_record import CHANGING, IN_PLACE, new_record
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings
from ansible_collections.cora.backup.plugins.module_utils.status_summary import fleet_table, status_summary
from ansible_collections.cora.backup.plugins.module_utils.timers import SAVE_TIMER
from ansible_collections.cora.backup.plugins.module_utils.vault import Vault
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from support.engine import Document, backup
from support.modules import run_module
from support.tools import tool


def look(vault: Path, **options: Any) -> Document:
    return engine.status(str(vault), **{"with_timers": False, **options})


def texts(document: Document) -> str:
    return "\n".join(f"{problem['level']}: {problem['text']}" for problem in document["problems"])


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Lets time pass."""

    def pass_time(span: timedelta) -> None:
        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime.now(tz or timezone.utc) + span

        monkeypatch.setattr(engine, "datetime", Clock)
        monkeypatch.setattr("time.time", lambda: datetime.now(timezone.utc).timestamp() + span.total_seconds())

    return pass_time


def test_an_empty_vault(tmp_path: Path) -> None:
    document = look(tmp_path / "none")
    assert "critical: There is no backup" in texts(document)
    assert document["newest_backup"] is None
    assert status_summary(document)[-1].startswith("CRITICAL: ")


def test_all_is_well(project: Path, vault: Path) -> None:
    made = backup(project, vault)
    verify_backup(str(vault), made.id)
    (project / "AI_WORK_LOG.md").open("a").write("more\n")
    save(BackupSettings(project=str(project), vault=str(vault)))
    document = look(vault, project=str(project))
    assert document["ok"], texts(document)
    lines = status_summary(document)
    assert lines[-1] == "All is well."
    assert any("AI_WORK_LOG.md  17 B, +5 B since the backup" in line for line in lines)
    assert document["newest_backup"]["id"] == made.id
    assert 0 <= document["newest_backup"]["age_seconds"] < 60


def test_what_got_old(project: Path, vault: Path, later: Callable[[timedelta], None]) -> None:
    made = backup(project, vault)
    assert look(vault)["ok"]
    later(timedelta(hours=27))
    assert texts(look(vault)) == "critical: The newest backup is 27 hours old."
    assert look(vault, limits=engine.Limits(backup_hours=30))["ok"]
    later(timedelta(days=9))
    assert "No backup was ever verified" in texts(look(vault))
    later(timedelta())
    verify_backup(str(vault), made.id)
    later(timedelta(days=9))
    assert "The last full check was" in texts(look(vault))


def test_damage_seals_and_missing_files(project: Path, vault: Path) -> None:
    first = backup(project, vault)
    second = backup(project, vault)
    tool("chattr", "-R", "-i", first.path)
    tool("chattr", "-i", second.path / "MANIFEST.txt")
    (second.path / "MANIFEST.txt").write_text("spoilt\n")
    verify_backup(str(vault), second.id)
    (project / "README.md").unlink()
    document = look(vault)
    assert f"critical: {second.id} is damaged" in texts(document)
    assert f"warning: 1 backup is not sealed, the newest of them {first.id}" in texts(document)
    assert "gone from the project: README.md" in texts(document)
    assert "cora restore latest --file README.md" in texts(document)
    assert any("README.md  GONE" in line for line in status_summary(document))


def test_protection_that_is_wanted_and_not_there(project: Path, vault: Path) -> None:
    backup(project, vault)
    (log, *others) = [Path(project, row["path"]) for row in look(vault)["critical"] if row["protected"] is not None]
    assert others
    assert look(vault)["ok"]
    tool("chattr", "+a", log)
    try:
        document = look(vault, protect=True)
        assert f"{log.name}  12 B, protected" in "\n".join(status_summary(document))
        assert "warning: Critical files can be overwritten: " in texts(document)
        assert log.name not in texts(document)
        assert others[0].name in texts(document)
    finally:
        tool("chattr", "-a", log)


def test_large_files_are_named(project: Path, vault: Path) -> None:
    (project / "big.bin").write_bytes(b"x" * 3000)
    backup(project, vault, large_file_bytes=2000)
    document = look(vault)
    assert document["large_files"] == [{"path": "big.bin", "size_bytes": 3000, "git": "no repository"}]


def test_room_that_runs_out(project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backup(project, vault)
    assert "Only " in texts(look(vault, limits=engine.Limits(free_bytes=2**62)))
    monkeypatch.setattr(engine, "_growth_per_day", lambda rows: look(vault)["disk"]["free_bytes"] // 3 if rows else 0)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_growth_per_day", lambda rows: 10**12)
        assert "full in" in texts(look(vault))


def test_timers_that_fail_or_stand_still(project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backup(project, vault)
    now = datetime.now(timezone.utc).timestamp()
    row = {
        "unit": SAVE_TIMER,
        "last_seconds": now - 60,
        "next_seconds": now + 840,
        "running": False,
        "result": "success",
        "problem": None,
    }
    other = {**row, "unit": "cora-backup.timer"}
    monkeypatch.setattr(engine, "timer_rows", lambda: [row, other])
    assert look(vault, with_timers=True)["ok"]
    row["last_seconds"] = now - 7300
    assert "cora-save.timer has not run for 12" in texts(look(vault, with_timers=True))
    row.update({"last_seconds": now, "problem": "its last run ended with exit-code (1): journalctl"})
    document = look(vault, with_timers=True)
    assert "cora-save.timer: its last run ended" in texts(document)
    assert any("cora-backup.timer: last " in line and "success" in line for line in status_summary(document))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("Sat 2026-11-28 19:45:31 UTC", 1795895131.0), ("", None), (None, None), ("n/a", None), ("0", None)],
)
def test_what_systemd_says_of_a_time(text: str | None, seconds: float | None) -> None:
    assert timers._seconds(text) == seconds


def test_an_interrupted_restore_is_told(project: Path, vault: Path) -> None:
    made = backup(project, vault)
    record = new_record(
        Vault(str(vault)), kind=IN_PLACE, backup_id=made.id, project=str(project), scenario="files", room_bytes=0
    )
    record.write(CHANGING)
    assert "was interrupted" in texts(look(vault))


def test_a_fleet_is_one_table_worst_first(project: Path, vault: Path) -> None:
    made = backup(project, vault)
    verify_backup(str(vault), made.id)
    well = look(vault)
    old = {**well, "problems": [{"level": "warning", "text": "old"}]}
    bad = {**well, "problems": [{"level": "warning", "text": "old"}, {"level": "critical", "text": "worse"}]}
    table = fleet_table(
        {"b": well, "a": well, "old": old, "bad": bad, "gone": {"unreachable": "no route"}, "odd": {"error": "x\ny"}}
    )
    assert [line.split()[0] for line in table[1:-2]] == ["gone", "odd", "bad", "old", "a", "b"]
    assert table[-1] == "4 of 6 hosts need somebody."
    assert fleet_table({"a": well})[-1] == "All is well everywhere."


def test_the_module(project: Path, vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = run_module(capsys, "status_info", vault=vault)
    assert "failed" not in empty
    assert empty["ok"] is False
    backup(project, vault)
    result = run_module(capsys, "status_info", vault=vault, project=project, backup_hours=1)
    assert (result["changed"], result["backups"]) == (False, 1)
