# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables for people: RESULTS.md, and the few lines of it that the README shows."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from .contestants import AGAIN, FIRST, ONE_FILE, RESTORE, VERIFY, Contestant
from .datasets import Dataset
from .measure import Cost
from .rounds import Results, Work

_START, _END = "<!-- bench:start -->", "<!-- bench:end -->"
_NOTES = """\
Each contestant does all rows in turn, then the next one; the order turns from round to round. A row is the median of
the rounds, its spread in brackets. CPU is user and system time of all processes; memory is the peak of the largest
process. Before each measurement everything is written out. Every restored tree is compared with the data by
`diff -r`, every single file by `cmp`. `cora` is the command as typed, with Ansible around the engine; it hashes, seals
and calls fsync before it says that a backup is there, and a restore is checked and on disk when it returns. `tar`
pipelines do none of that (their "verify" compares a CRC of the whole); restic encrypts; borg runs without encryption.
"""


@dataclass(frozen=True)
class Bar:
    """What the project promises itself: a ratio of medians to one peer."""

    work: str
    peer: str
    ratio: float


BARS = (
    Bar(FIRST, "restic", 0.6),
    Bar(FIRST, "tar | igzip -1", 1.0),
    Bar(AGAIN, "restic", 0.5),
    Bar(AGAIN, "borg", 0.5),
    Bar(VERIFY, "restic", 0.8),
    Bar(RESTORE, "restic", 0.8),
    Bar(RESTORE, "tar | gzip", 0.5),
    Bar(ONE_FILE, "restic", 0.5),
)
_OURS = ("cora", "cora, engine only")


@dataclass(frozen=True)
class Run:
    """All that a report is made of."""

    dataset: Dataset
    contestants: Sequence[Contestant]
    works: Sequence[Work]
    results: Results
    machine: Mapping[str, str]
    rounds: int
    cold: bool

    def median(self, work: str, name: str, value: Callable[[Cost], float]) -> float | None:
        """The middle of the rounds; None where a contestant did not do that work."""
        costs = self.results.get(work, {}).get(name)
        return median(value(cost) for cost in costs) if costs else None


def _wall(cost: Cost) -> float:
    return cost.wall_seconds


def results_text(run: Run) -> str:
    """RESULTS.md."""
    data = run.dataset
    lines = [
        "# Measured",
        "",
        f"Data set `{data.spec.name}`: {data.files:,} files, {data.size_bytes / 1e9:.2f} GB. "
        f"{'Cold' if run.cold else 'Warm'} cache, {run.rounds} rounds. Made by `bench/run`.",
        "",
        *[f"- {label}: {text}" for label, text in run.machine.items()],
        *[f"- {one.name}: {one.version}" for one in run.contestants if one.version],
        "",
        _NOTES,
        "## Bars",
        "",
        *_bar_table(run),
    ]
    for work in run.works:
        lines += ["", f"## {work.title}", "", *_work_table(run, work)]
    return "\n".join(lines) + "\n"


def _bar_table(run: Run) -> list[str]:
    lines = ["| work | bar | `cora` | engine only |", "| --- | --- | --- | --- |"]
    titles = {work.key: work.title for work in run.works}
    for bar in BARS:
        peer = run.median(bar.work, bar.peer, _wall)
        if bar.work not in titles or peer is None:
            continue
        cells = []
        for name in _OURS:
            own = run.median(bar.work, name, _wall)
            cells.append("–" if own is None else f"{own / peer:.2f} × {'✓' if own <= bar.ratio * peer else '✗'}")
        lines.append(f"| {titles[bar.work]} | ≤ {bar.ratio} × {_cell(bar.peer)} | {' | '.join(cells)} |")
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _work_table(run: Run, work: Work) -> list[str]:
    lines = ["| | wall s | CPU s | peak MB | MB/s | `cora` needs |", "| --- | --- | --- | --- | --- | --- |"]
    own = run.median(work.key, "cora", _wall)
    for name, costs in run.results[work.key].items():
        walls = [cost.wall_seconds for cost in costs]
        middle = median(walls)
        ratio = f"{own / middle:.2f} ×" if own is not None and name not in _OURS else ""
        rate = f"{run.dataset.size_bytes / 1e6 / middle:.0f}" if work.key != ONE_FILE else ""
        lines.append(
            f"| {_cell(name)} | {middle:.2f} ({min(walls):.2f}–{max(walls):.2f}) "
            f"| {median(cost.cpu_seconds for cost in costs):.2f} "
            f"| {median(cost.peak_bytes for cost in costs) / 1e6:.0f} | {rate} | {ratio} |"
        )
    return lines


def readme_table(run: Run) -> str:
    """The short table of the README: seconds and MB/s."""
    names = [name for name in ("cora", "tar | gzip", "restic") if name in {one.name for one in run.contestants}]
    data = run.dataset
    lines = [
        f"{data.files:,} files, {data.size_bytes / 1e9:.1f} GB, {run.machine['processor']}, {run.machine['memory']}: "
        f"seconds (MB/s), median of {run.rounds} rounds. [All numbers](bench/RESULTS.md).",
        "",
        f"| | {' | '.join(f'`{_cell(name)}`' for name in names)} |",
        f"| --- |{' --- |' * len(names)}",
    ]
    for work in run.works:
        if work.key in (FIRST, VERIFY, RESTORE):
            cells = [_seconds(run, work.key, name) for name in names]
            lines.append(f"| {work.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _seconds(run: Run, work: str, name: str) -> str:
    middle = run.median(work, name, _wall)
    if middle is None or (work == VERIFY and name == "tar | gzip"):
        return "–"  # gzip -t is no check of the files
    return f"{middle:.1f} ({run.dataset.size_bytes / 1e6 / middle:.0f})"


def fill_readme(path: str, table: str) -> bool:
    """Put a table between the markers of a file; False where it has none."""
    with open(path, encoding="utf-8") as stream:
        before, start, rest = stream.read().partition(_START)
    _, end, after = rest.partition(_END)
    if not start or not end:
        return False
    with open(path + ".new", "w", encoding="utf-8") as stream:
        stream.write(f"{before}{start}\n{table}\n{end}{after}")
    os.replace(path + ".new", path)
    return True
