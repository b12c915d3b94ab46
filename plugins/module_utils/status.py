# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How things stand: what was saved and when, what runs by itself, what room is left, and what is wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

from . import layout
from .append_only import protection_of
from .catalog import checkpoint_rows, list_backups
from .critical_gone import Gone, gone_since, gone_text, missing, reports_of
from .errors import IntegrityError
from .names import printable
from .offsite_state import offsite_problems, offsite_state
from .restore_record import CHANGING, STAGING, read_records
from .timers import SAVE_TIMER, timer_rows
from .timestamps import moment_of
from .vault import Vault

CRITICAL, WARNING = "critical", "warning"


@dataclass(frozen=True)
class Limits:
    """When something is a problem.

    :param backup_hours: the newest backup may be so old
    :param checkpoint_minutes: the newest checkpoint may be so old where the timer that makes it is installed
    :param verified_days: the newest verified backup may be so old
    :param free_days: at the present growth the disk has to last so long
    :param free_bytes: so much has to be free
    """

    backup_hours: float = 26.0
    checkpoint_minutes: float = 60.0
    verified_days: float = 8.0
    free_days: float = 7.0
    free_bytes: int = 1024 * 1024 * 1024


def status(
    vault_path: str,
    *,
    project: Optional[str] = None,
    limits: Optional[Limits] = None,
    with_timers: bool = True,
    protect: bool = False,
) -> dict[str, Any]:
    """The state of one vault, and of one project in it.

    :param project: None: all that the vault holds
    :param protect: a critical file that is not append-only is a problem
    :returns: JSON types; C(problems) is empty when all is well, each has C(level) and C(text)
    :raises VaultError: when the vault cannot be read
    """
    limits = limits or Limits()
    vault = Vault(vault_path)
    rows = [row for row in list_backups(vault_path) if project in (None, row["project"])]
    checkpoints = [row for row in checkpoint_rows(vault_path) if project in (None, row["project"])]
    timers = timer_rows() if with_timers else []
    document: dict[str, Any] = {
        "vault": vault_path,
        "project": project or (rows[0]["project"] if rows else None),
        "backups": len(rows),
        "checkpoints": len(checkpoints),
        "newest_backup": _newest(rows),
        "newest_checkpoint": _newest(checkpoints),
        "timers": timers,
        "disk": _disk(vault, rows),
        "critical": _critical(vault, rows),
        "critical_gone": _critical_gone(vault, rows),
        "large_files": _large_files(vault, rows),
        "unsealed": [row["id"] for row in rows if not row["sealed"]],
        "unverified": [row["id"] for row in rows if row["verified_ok"] is None],
        "damaged": [row["id"] for row in rows if row["verified_ok"] is False or row["problem"]],
        "offsite": offsite_state(vault, [row["id"] for row in rows]),
    }
    document["problems"] = [
        *_problems(document, rows, checkpoints, limits),
        *_restore_problems(vault),
        *(_problem(*found) for found in offsite_problems(document["offsite"], hours=limits.backup_hours)),
    ]
    if protect:
        document["problems"] += _protection_problems(document)
    document["ok"] = not document["problems"]
    return document


def _newest(rows: list[dict[str, Any]]) -> Optional[dict[str, Any]]:
    if not rows:
        return None
    return {**rows[0], "age_seconds": round(_age_seconds(rows[0]["created_at"]))}


def _age_seconds(timestamp: str) -> float:
    return (datetime.now(timezone.utc) - moment_of(timestamp)).total_seconds()


def _disk(vault: Vault, rows: list[dict[str, Any]]) -> dict[str, Any]:
    path = vault.root
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    found = os.statvfs(path)
    free = found.f_bavail * found.f_frsize
    growth = _growth_per_day(rows)
    return {
        "free_bytes": free,
        "total_bytes": found.f_blocks * found.f_frsize,
        "growth_bytes_per_day": growth,
        "days_left": round(free / growth, 1) if growth else None,
    }


def _growth_per_day(rows: list[dict[str, Any]], *, days: int = 7) -> int:
    since = datetime.now(timezone.utc) - timedelta(days=days)
    recent = [row for row in rows if row["created_at"] >= f"{since:%Y-%m-%dT%H:%M:%SZ}" and row["archive_bytes"]]
    if len(recent) < 2:
        return 0  # one backup tells no pace
    span_days = max((_age_seconds(recent[-1]["created_at"]) - _age_seconds(recent[0]["created_at"])) / 86400, 1.0)
    return int(sum(row["archive_bytes"] for row in recent[:-1]) / span_days)


def _critical(vault: Vault, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Critical files of the newest backup: size then, size now, missing or not, protected or not."""
    report = _report(vault, rows)
    critical = report.get("critical", [])
    databases = {database["path"] for database in report.get("databases", [])}
    # these are written in the middle, so they are never append-only
    protected = protection_of(report["project"], set(critical) - databases) if critical else {}
    found = []
    for path in critical:
        saved = _size(os.path.join(vault.path_of(report["id"]), layout.CRITICAL_DIR, path))
        now = _size(os.path.join(report["project"], path))
        if now is not None and path in databases:
            now += _size(os.path.join(report["project"], f"{path}-wal")) or 0  # what was written last stands there
        found.append(
            {
                "path": printable(path),
                "saved_bytes": saved,
                "size_bytes": now,
                "growth_bytes": now - saved if now is not None and saved is not None else None,
                "protected": protected.get(path),
            }
        )
    return found


def _critical_gone(vault: Vault, rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What the newest backup has not got, as the project had it no more, and has not got it since."""
    project = rows[0]["project"] if rows else None
    if not isinstance(project, str):
        return []
    gone = missing(gone_since(reports_of(vault, project)), project)
    return [{"path": printable(one.path), "backup": one.holders[0]} for one in gone]


def _size(path: str) -> Optional[int]:
    try:
        return os.lstat(path).st_size
    except OSError:
        return None


def _large_files(vault: Vault, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Files over the limit in the newest backup, the largest first."""
    if not rows:
        return []
    try:
        with open(os.path.join(vault.path_of(rows[0]["id"]), layout.LARGE_FILES), encoding="utf-8") as stream:
            lines = [line.rstrip("\n").split("\t", 3) for line in stream if not line.startswith("#")]
    except (OSError, UnicodeDecodeError):
        return []
    return [
        {"path": path, "size_bytes": int(size_bytes), "git": state}
        for size_bytes, _digest, state, path in (line for line in lines if len(line) == 4 and line[0].isdigit())
    ]


def _report(vault: Vault, rows: list[dict[str, Any]]) -> dict[str, Any]:
    try:
        return layout.read_report(vault.path_of(rows[0]["id"])) if rows else {}
    except IntegrityError:
        return {}


def _problems(
    document: dict[str, Any], rows: list[dict[str, Any]], checkpoints: list[dict[str, Any]], limits: Limits
) -> Iterable[dict[str, str]]:
    if not rows:
        of = f" of {printable(document['project'])}" if document["project"] else ""
        yield _problem(
            CRITICAL, f"There is no backup{of} in {printable(document['vault'])}. Make one: cora backup now."
        )
        return
    yield from _age_problems(document, rows, checkpoints, limits)
    yield from _state_problems(document, rows)
    disk = document["disk"]
    if disk["free_bytes"] < limits.free_bytes:
        yield _problem(CRITICAL, f"Only {disk['free_bytes'] // 2**20} MiB are free where the vault is: cora prune.")
    elif disk["days_left"] is not None and disk["days_left"] < limits.free_days:
        yield _problem(WARNING, f"At this pace the disk of the vault is full in {disk['days_left']} days: cora prune.")
    for timer in document["timers"]:
        if timer["problem"]:
            yield _problem(WARNING, f"{timer['unit']}: {timer['problem']}.")


def _age_problems(
    document: dict[str, Any], rows: list[dict[str, Any]], checkpoints: list[dict[str, Any]], limits: Limits
) -> Iterable[dict[str, str]]:
    age_hours = _age_seconds(rows[0]["created_at"]) / 3600
    if age_hours > limits.backup_hours:
        yield _problem(CRITICAL, f"The newest backup is {age_hours:.0f} hours old.")
    verified = [row for row in rows if row["verified_ok"] and not row["verified_quick"]]
    if not verified:
        # on a new installation nobody has had the time yet
        if _age_seconds(rows[-1]["created_at"]) / 86400 > limits.verified_days:
            yield _problem(WARNING, "No backup was ever verified: cora verify latest.")
    elif _age_seconds(verified[0]["verified_at"]) / 86400 > limits.verified_days:
        yield _problem(WARNING, f"The last full check was {verified[0]['verified_at']}: cora verify latest.")
    saving = [timer for timer in document["timers"] if timer["unit"] == SAVE_TIMER and timer["last_seconds"]]
    # a run that finds nothing new leaves no checkpoint, so the timer counts too
    moments = [row["saved_at_seconds"] for row in checkpoints[:1]] + [timer["last_seconds"] for timer in saving]
    last_run = max(moments, default=0.0)
    if saving and time.time() - last_run > limits.checkpoint_minutes * 60:
        yield _problem(WARNING, f"{SAVE_TIMER} has not run for {(time.time() - last_run) / 60:.0f} minutes.")


def _state_problems(document: dict[str, Any], rows: list[dict[str, Any]]) -> Iterable[dict[str, str]]:
    for backup_id in document["damaged"]:
        yield _problem(CRITICAL, f"{backup_id} is damaged: cora verify {backup_id} tells what can still be restored.")
    if document["unsealed"]:
        count, newest = len(document["unsealed"]), document["unsealed"][0]
        are = "backup is" if count == 1 else "backups are"
        yield _problem(WARNING, f"{count} {are} not sealed, the newest of them {newest}.")
    if rows[0]["incomplete"]:
        yield _problem(WARNING, f"The newest backup, {rows[0]['id']}, is incomplete: see its REPORT.json.")
    if document["critical_gone"]:
        gone = [Gone(row["path"], [row["backup"]]) for row in document["critical_gone"]]
        yield _problem(WARNING, gone_text(gone, document["vault"]))
    missing = [entry["path"] for entry in document["critical"] if entry["size_bytes"] is None]
    if missing:
        yield _problem(
            CRITICAL,
            f"Critical files of the newest backup are gone from the project: {', '.join(missing[:5])}. "
            f"Bring one back: cora restore latest --file {missing[0]}",
        )


def _protection_problems(document: dict[str, Any]) -> Iterable[dict[str, str]]:
    is_open = [entry["path"] for entry in document["critical"] if entry["protected"] is False]
    if is_open:
        shown = ", ".join(is_open[:5])
        yield _problem(WARNING, f"Critical files can be overwritten: {shown}. To close them: cora protect.")


def _restore_problems(vault: Vault) -> Iterable[dict[str, str]]:
    for record in read_records(vault):
        if record.state in (STAGING, CHANGING):
            yield _problem(
                CRITICAL,
                f"The restore {record.restore_id} was interrupted: the next cora restore or undo takes it back.",
            )


def _problem(level: str, text: str) -> dict[str, str]:
    return {"level": level, "text": text}
