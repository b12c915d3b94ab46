# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How things stand, in a person's words: one host in a few lines, many hosts in one table."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from .names import printable
from .summary import age_text, count_text, size_text

Result = Mapping[str, Any]

_SHOWN_AT_MOST = 12
_WHAT_AT_MOST = 120
_DAYS_THAT_MATTER = 3650
_ORDER = {"unreachable": 0, "failed": 1, "critical": 2, "warning": 3, "ok": 4}


def status_summary(result: Result) -> list[str]:
    """Lines for one vault; what is wrong comes last, so that it stands above the next prompt."""
    lines = [
        f"project     {printable(result['project'] or '?')}",
        f"vault       {printable(result['vault'])}: {count_text(result['backups'], 'backup')}, "
        f"{count_text(result['checkpoints'], 'checkpoint')}",
        f"backup      {_newest(result['newest_backup'])}",
        f"checkpoint  {_newest(result['newest_checkpoint'])}",
        f"disk        {_disk(result['disk'])}",
        f"offsite     {_offsite(result['offsite'])}",
    ]
    lines += [f"timer       {_timer(row)}" for row in result["timers"]] or [
        "timer       none: nothing runs by itself (cora install)"
    ]
    lines += [f"critical    {_critical(row)}" for row in result["critical"][:_SHOWN_AT_MOST]]
    if len(result["critical"]) > _SHOWN_AT_MOST:
        lines.append(f"critical    … and {count_text(len(result['critical']) - _SHOWN_AT_MOST)} more (--json has all)")
    lines += [
        f"large       {row['path']}  {size_text(row['size_bytes'])}, {row['git']}" for row in result["large_files"][:3]
    ]
    if len(result["large_files"]) > 3:
        lines.append(
            f"large       … and {count_text(len(result['large_files']) - 3)} more: LARGE_FILES.txt of the backup"
        )
    lines += [f"{word:<11} {_ids(result[word])}" for word in ("unsealed", "unverified", "damaged") if result[word]]
    lines.append("")
    if not result["problems"]:
        return [*lines, "All is well."]
    return [*lines, *(f"{problem['level'].upper()}: {printable(problem['text'])}" for problem in result["problems"])]


def _newest(row: Optional[Result]) -> str:
    if row is None:
        return "none"
    seal = "sealed" if row["sealed"] else "NOT sealed"
    checked = "never verified"
    if row["verified_at"]:
        checked = f"{'verified' if row['verified_ok'] else 'DAMAGED'} {age_text(row['verified_at'])}"
    return f"{row['id']}, {age_text(row['created_at'])}, {size_text(row['archive_bytes'])}, {seal}, {checked}"


def _offsite(state: Optional[Result]) -> str:
    if state is None:
        return "none"
    there = f"{count_text(state['copied'], 'backup')} at {printable(str(state['remote']))}"
    newest = f"newest {state['newest']}" if state["newest"] else "none yet"
    missing = f", {count_text(len(state['missing']))} not there yet" if state["missing"] else ""
    last_run = state["last_run"]
    run = f", last run {age_text(last_run['at'])} {'well' if last_run['ok'] else 'FAILED'}" if last_run else ""
    return f"{there}, {newest}{missing}{run}"


def _disk(disk: Result) -> str:
    text = f"{size_text(disk['free_bytes'])} free of {size_text(disk['total_bytes'])}"
    if disk["days_left"] is None or disk["days_left"] > _DAYS_THAT_MATTER:
        return text
    return f"{text}, {size_text(disk['growth_bytes_per_day'])} a day: {disk['days_left']:.0f} days left"


def _timer(row: Result) -> str:
    if row["problem"]:
        return f"{row['unit']}: {row['problem']}"
    if row["running"]:
        return f"{row['unit']}: runs now"
    last = f"last {_ago(row['last_seconds'])}, {row['result'] or 'no result'}" if row["last_seconds"] else "not run yet"
    return f"{row['unit']}: {last}, next {_ahead(row['next_seconds'])}"


def _ago(seconds: float) -> str:
    return f"{_span(time.time() - seconds)} ago"


def _ahead(seconds: Optional[float]) -> str:
    return "unknown" if not seconds else f"in {_span(seconds - time.time())}"


def _span(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def _critical(row: Result) -> str:
    if row["size_bytes"] is None:
        return f"{printable(row['path'])}  GONE (the backup has {size_text(row['saved_bytes'])})"
    growth = row["growth_bytes"]
    change = f", {'+' if growth > 0 else '-'}{size_text(abs(growth))} since the backup" if growth else ""
    protected = ", protected" if row["protected"] else ""
    return f"{printable(row['path'])}  {size_text(row['size_bytes'])}{change}{protected}"


def _ids(ids: Sequence[str]) -> str:
    more = f" and {count_text(len(ids) - 3)} more" if len(ids) > 3 else ""
    return ", ".join(ids[:3]) + more


def fleet_table(hosts: Mapping[str, Result]) -> list[str]:
    """One line a host, worst first.

    :param hosts: by name what C(status_info) found, or C({"error": text}), or C({"unreachable": text})
    """
    rows = sorted(((_level(result), name) for name, result in hosts.items()), key=lambda row: (_ORDER[row[0]], row[1]))
    cells = [["HOST", "STATE", "BACKUP", "CHECKPOINT", "FREE", "WHAT"]]
    cells += [[printable(name), level.upper(), *_facts(hosts[name])] for level, name in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    bad = sum(level != "ok" for level, _name in rows)
    verdict = (
        f"{count_text(bad)} of {count_text(len(rows), 'host')} need somebody." if bad else "All is well everywhere."
    )
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in cells]
    return [*lines, "", verdict]


def _level(result: Result) -> str:
    if "unreachable" in result:
        return "unreachable"
    if "error" in result:
        return "failed"
    levels = {problem["level"] for problem in result["problems"]}
    return "critical" if "critical" in levels else "warning" if levels else "ok"


def _facts(result: Result) -> list[str]:
    if "problems" not in result:
        return [
            "-",
            "-",
            "-",
            _short(printable(str(result.get("unreachable") or result.get("error")).split("\n", maxsplit=1)[0])),
        ]
    ages = [age_text(row["created_at"]) if row else "none" for row in _newest_rows(result)]
    return [*ages, size_text(result["disk"]["free_bytes"]), _short(" ".join(_texts(result)))]


def _short(text: str) -> str:
    # a line of a table; all of it is said by `cora status` there
    return text if len(text) <= _WHAT_AT_MOST else f"{text[: _WHAT_AT_MOST - 2]} …"


def _newest_rows(result: Result) -> list[Optional[Result]]:
    return [result["newest_backup"], result["newest_checkpoint"]]


def _texts(result: Result) -> list[str]:
    return [printable(problem["text"]) for problem in result["problems"]]
