# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How things stand with the copies elsewhere, by what was noted here: C(cora status) asks no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Optional

from .ids import id_time
from .names import printable
from .offsite_notes import COMPLETE, PRUNED, read_bucket, read_last_run, read_note
from .vault import Vault

State = dict[str, Any]
Problem = tuple[str, str]


def offsite_state(vault: Vault, ids: Sequence[str]) -> Optional[State]:
    """What is noted; None where nobody ever set a copy up.

    :param ids: of the backups that matter, in any order
    """
    last_run, bucket = read_last_run(vault), read_bucket(vault)
    if last_run is None and bucket is None:
        return None
    results = {backup_id: (read_note(vault, backup_id) or {}).get("result") for backup_id in sorted(ids)}
    copied = [backup_id for backup_id, result in results.items() if result == COMPLETE]
    newest = copied[-1] if copied else None
    return {
        "remote": (last_run or bucket or {}).get("remote"),
        "copied": len(copied),
        "missing": [backup_id for backup_id, result in results.items() if result not in (COMPLETE, PRUNED)],
        "newest": newest,
        "newest_at": (read_note(vault, newest) or {}).get("uploaded_at") if newest else None,
        "last_run": last_run
        and {
            "at": last_run.get("at"),
            "ok": bool(last_run.get("ok")),
            "message": _message(last_run),
        },
        "versioning": (bucket or {}).get("versioning"),
        "object_lock": (bucket or {}).get("object_lock"),
        "checked_at": (bucket or {}).get("checked_at"),
        "public": (bucket or {}).get("public"),
    }


def offsite_problems(state: Optional[Mapping[str, Any]], *, hours: float) -> Iterable[Problem]:
    """Level and sentence of each thing that is wrong.

    :param hours: a backup may be so old before it has to be there
    """
    if state is None:
        return
    if state["public"]:
        yield "critical", f"Anybody can read {printable(str(state['remote']))} without a key: make the bucket private."
    last_run = state["last_run"]
    if last_run and not last_run["ok"]:
        yield "warning", f"The last copy offsite failed ({last_run['at']}): {printable(last_run['message'])}"
    late = [backup_id for backup_id in state["missing"] if _age_hours(backup_id) > hours]
    if late:
        yield (
            "critical",
            (
                f"{len(late)} of the backups that are over {hours:.0f} hours old are not offsite, the newest "
                f"{late[-1]}: cora offsite sync."
            ),
        )


def _age_hours(backup_id: str) -> float:
    return (datetime.now(timezone.utc) - id_time(backup_id)).total_seconds() / 3600


def _message(last_run: Mapping[str, Any]) -> str:
    failures = last_run.get("failures") or []
    return str(failures[0].get("message", "")) if failures and isinstance(failures[0], dict) else ""
