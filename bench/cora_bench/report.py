# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables for people: RESULTS.md out of all that was measured, and the few lines of it that the README shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from .contestants import (
    AGAIN,
    CHANGED,
    FIND,
    FIRST,
    HISTORY,
    LIST,
    ONE_FILE,
    PRUNE,
    RESTORE,
    SAVE,
    STATUS,
    VERIFY,
)
from .results import Run, cpu, peak, wall
from .thousand import LIMIT_SECONDS, NAME

_START, _END = "<!-- bench:start -->", "<!-- bench:end -->"
_NOTES = """\
Each contestant does all rows in turn, then the next one; the order turns from round to round. A row is the median of
the rounds, its spread in brackets. CPU is user and system time of all processes; memory is the peak of the largest
process. Before each measurement everything is written out. Every restored tree is compared with the data by
`diff -r`, every single file by `cmp`. `cora` is the command as typed, which runs the module of the playbook in a
process of its own: nothing here needs Ansible, and so it is not started. It hashes, seals and calls fsync before it
says that a backup is there, and a restore is checked and on disk when it returns. `tar` pipelines do none of that
(their "verify" compares a CRC of the whole); restic encrypts; borg runs without encryption. On ext4, which shares no
blocks, a backup in which nothing changed is written whole all the same: there it costs what the disk needs for the
archive. On XFS and Btrfs it shares the blocks.
"""
_LIMITS = """\
## Where a bar is not reached, what limits it

- **The command** costs 0.2 s a run beside the engine: two starts of Python, and what an Ansible module imports. Where
  a run goes through Ansible (`-v`, templates, tasks of one's own, timers) that is 1 s more: its imports take half of
  it, ansible-runner a quarter, three tasks the rest.
- **First backup**: one thread walks and reads, 50 microseconds a file; processes make the frames. Together they keep
  two cores busy, so what is left is the sum: by the speed of each alone, three tenths are compression and a seventh
  is SHA-256 (of each file, each frame, and the archive); the rest is Python's and the kernel's work for each file. On
  a cold cache it waits for the disk no longer: files are asked for ahead.
- **Backup, nothing changed**: two processes. One walks and compares, 15 microseconds a file, half of it `stat` and
  `readdir`. The other copies the archive around the page cache, and sums it up in a thread beside that. On ext4 the
  disk has to take the whole archive, where restic writes next to nothing: of 5 GB in large files that is some seconds
  to its one. `cora save` looks at these by a `stat` each.
- **One file in a hundred changed**: spread evenly, these touch every fourth frame. What did not change in it is not
  read again but unpacked, and all of the frame is compressed again: a third of all CPU time, by `perf`. A third is the
  walk, the comparing and the index. The last third is the process that writes the archive: nearly half of that is
  SHA-256, because each copied frame is compared with its digest beside the sum of the whole, and what was copied
  before the first change is read once more for that. The two cores of the machine share one: what keeps both busy
  at once goes slower on each, so that a shorter wait of one process for another gains little here.
- **Full restore**: the plan, and the sums beside it, take a tenth of it; with 5 GB in large files the sum of the
  archive is one long chain, and takes a quarter. The rest is the kernel's work for each file, and the digest of each
  frame and each file, on all cores. It ends with everything on disk, which `tar` does not wait for. On this machine
  the kernel needs up to four times as long for new files in the minutes after a large tree was removed, and the disk
  takes 0.45 GB/s where nothing was written before, and 1.3 GB/s there later: of one round of `big`, whoever comes
  first has the slower disk.
- **The machine counts**: a backup in which nothing changed took 1.9 times as long on this one as on an AMD EPYC the day
  before, and restic's 1.5 times. There `cora` as typed (engine alone) needed, times restic: first backup 0.55 (0.48),
  nothing changed 0.45 (0.42), one file in a hundred changed 0.94 (0.89), verify 0.63 (0.62).
- **Find** and the versions of a file read the index of every backup: 30 microseconds of a small tree, but 1.5 ms
  where it holds 2,000 files, so that a thousand of these take 1.6 s.
- **One file out** is `cora cat`, as `restic dump` is. `cora restore --file` also saves what it replaces.

Tried: hashing and writing in a thread of its own (kept), a shorter switch interval of Python's threads (no clear
gain), reading the index by ISA-L in place of zlib (kept), a short way for index lines of plain files (kept), a
restore in processes instead of threads (kept: half the time), frames built by processes instead of threads (kept: two
thirds of the time of a first backup), frames of 512 KiB instead of 1 MiB (kept: a third less CPU with one file in a
hundred changed) and of 256 KiB (a tenth less CPU with one file in a hundred changed, and none elsewhere: not worth
twice the frames), index lines compared and not parsed (kept: a third less CPU where nothing changed, and for `save`),
frames copied by a process instead of threads (kept: threads kept the walk waiting, it took 3.7 s for what takes 1.6
alone), one SHA-256 for each byte of an archive that comes out as it was, and not two (kept: 3.1 s became 2.5),
SHA-256 of the archive in a thread beside the copying (kept, now that the walk is not what everybody waits for: 2.2 s
became 1.85), having the kernel write out at once (kept: 1.4 s of fsync at the end became 0.2), dropping what was
copied from the page cache (no gain), going around it (kept: 2.0 s became 1.5 where nothing changed, with less than
half of the CPU time), one process that writes all of the archive instead of two (kept: a fifth less CPU with one file
in a hundred changed), 64 MiB of frames that may wait for that process (kept: a second less waiting, though more CPU
time on two cores that share one), more frames on their way (no gain), an archive read once by a verify, from the
disk, and checked by processes instead of threads (kept: 3.6 s became 3.0), large files of a restore written around
the page cache (a fifth less CPU, and up to a second more waiting), asking the disk for files ahead (kept: 19 s of a
first backup on a cold cache became 11), modules from disk where the host is the controller (kept: 0.6 s less CPU than
packed), verifying once where a full restore asks nobody (kept: 0.9 s less CPU), and then by frames and files alone,
without the sum of the archive before (5 of 19 s for 5 GB in large files; taken back: damage stayed unseen where
nothing differed from the project), no Ansible where nothing needs it (kept: 1 s), unchanged files out of changed
frames (kept: a fifth less CPU with one file in a hundred changed; of frames of 256 KiB another twentieth, not worth
twice the frames), directories listed ahead by a process (kept: 2.6 s of `cora save` on a cold cache became 1.5),
syncing beside a full restore (kept: a tenth of it), fewer system calls for each restored file (kept: a tenth less
CPU), times of a thousand backups read by hand instead of by `strptime` (kept: a third of a list), files of a backup
opened by the descriptor of its directory (no gain where three are read), indexes looked through in pieces of 64 KiB
instead of 256 (kept: a third less for `find`), or whole in memory (slower), Python's collector off (no gain).
"""


@dataclass(frozen=True)
class Bar:
    """What the project promises itself: a ratio of medians to one peer.

    :param peer_work: what the peer does for it, where that is another row
    """

    work: str
    peer: str
    ratio: float
    peer_work: str = ""


BARS = (
    Bar(FIRST, "restic", 0.6),
    Bar(FIRST, "tar | igzip -1", 1.0),
    Bar(AGAIN, "restic", 0.5),
    Bar(AGAIN, "borg", 0.5),
    Bar(SAVE, "restic", 0.4, AGAIN),
    Bar(CHANGED, "restic", 0.5),
    Bar(VERIFY, "restic", 0.8),
    Bar(RESTORE, "restic", 0.8),
    Bar(RESTORE, "tar | gzip", 0.5),
    Bar(ONE_FILE, "restic", 0.5),
)
_OURS = ("cora", "cora, engine only")
#: The one whose bars and whose table stand first.
MAIN_SET = "mixed"
#: Where bytes a second would say nothing.
_WITHOUT_RATE = (ONE_FILE, LIST, PRUNE, STATUS, FIND, HISTORY)
_GROWTH = ("hundred", "many")


def results_text(runs: Sequence[Run]) -> str:
    """RESULTS.md."""
    lines = ["# Measured", "", "Made by `bench/run`; the numbers of each run are in `bench/results/`.", "", _NOTES]
    lines += ["![Seconds, medians](results.svg)", ""]
    for run in sorted(runs, key=lambda run: (run.set_name != MAIN_SET, run.set_name, run.cold)):
        lines += _run_section(run)
    lines += [_LIMITS]
    lines += _growth_section({run.set_name: run for run in runs if not run.cold})
    return "\n".join(lines).rstrip("\n") + "\n"


def _run_section(run: Run) -> list[str]:
    cache = "cold" if run.cold else "warm"
    lines = [
        f"## {run.title or f'{run.files:,} files, {run.size_bytes / 1e9:.2f} GB'} (`{run.set_name}`), {cache} cache",
        "",
        f"{run.rounds} {'round' if run.rounds == 1 else 'rounds'}.",
        "",
        *[f"- {label}: {text}" for label, text in run.machine.items()],
        *[f"- {name}: {version}" for name, version in run.contestants.items() if version],
        "",
    ]
    bars = _bar_table(run)
    lines += [*bars, ""] if len(bars) > 2 else []
    for key, title in run.works.items():
        lines += [f"### {title}", "", *_work_table(run, key), ""]
    return lines


def _bar_table(run: Run) -> list[str]:
    lines = ["| work | bar | `cora` | engine only |", "| --- | --- | --- | --- |"]
    for bar in BARS:
        peer = run.median(bar.peer_work or bar.work, bar.peer, wall)
        if bar.work not in run.works or peer is None:
            continue
        cells = []
        for name in _OURS:
            own = run.median(bar.work, name, wall)
            cells.append("–" if own is None else f"{own / peer:.2f} × {'✓' if own <= bar.ratio * peer else '✗'}")
        lines.append(f"| {run.works[bar.work]} | ≤ {bar.ratio} × {_cell(bar.peer)} | {' | '.join(cells)} |")
    return lines + (_limit_lines(run) if run.set_name == NAME else [])


def _limit_lines(run: Run) -> list[str]:
    lines = []
    for work, title in run.works.items():
        middles = [run.median(work, name, wall) for name in _OURS]
        cells = ["–" if own is None else f"{own:.2f} s {'✓' if own <= LIMIT_SECONDS else '✗'}" for own in middles]
        lines.append(f"| {title} | ≤ {LIMIT_SECONDS} s | {' | '.join(cells)} |")
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _work_table(run: Run, work: str) -> list[str]:
    lines = ["| | wall s | CPU s | peak MB | MB/s | `cora` needs |", "| --- | --- | --- | --- | --- | --- |"]
    own = run.median(work, "cora", wall)
    for name, costs in run.results.get(work, {}).items():
        walls = [cost.wall_seconds for cost in costs]
        middle = run.median(work, name, wall) or 0.0
        peak_mb = (run.median(work, name, peak) or 0) / 1e6
        ratio = f"{own / middle:.2f} ×" if own is not None and name not in _OURS else ""
        rate = f"{run.size_bytes / 1e6 / middle:.0f}" if work not in _WITHOUT_RATE else ""
        lines.append(
            f"| {_cell(name)} | {middle:.2f} ({min(walls):.2f}–{max(walls):.2f}) "
            f"| {run.median(work, name, cpu):.2f} | {peak_mb:.0f} | {rate} | {ratio} |"
        )
    return lines


def _growth_section(runs: dict[str, Run]) -> list[str]:
    if not all(name in runs for name in _GROWTH):
        return []
    small, large = (runs[name] for name in _GROWTH)
    lines = [
        f"## From {small.files:,} to {large.files:,} files",
        "",
        "| `cora` | wall | peak MB |",
        "| --- | --- | --- |",
    ]
    for key, title in large.works.items():
        walls = [run.median(key, "cora", wall) for run in (small, large)]
        peaks = [run.median(key, "cora", peak) for run in (small, large)]
        if walls[0] and walls[1] and peaks[0] and peaks[1]:
            lines.append(f"| {title} | × {walls[1] / walls[0]:.1f} | {peaks[0] / 1e6:.0f} → {peaks[1] / 1e6:.0f} |")
    return lines


def readme_table(run: Run) -> str:
    """The short table of the README: seconds and MB/s."""
    names = [name for name in ("cora", "tar | gzip", "restic") if name in run.contestants]
    lines = [
        f"{run.files:,} files, {run.size_bytes / 1e9:.1f} GB, {run.machine['processor']}, {run.machine['memory']}, "
        f"{run.machine['file system']}: seconds (MB/s), median of {run.rounds} round(s). "
        "[All numbers](bench/RESULTS.md).",
        "",
        f"| | {' | '.join(f'`{_cell(name)}`' for name in names)} |",
        f"| --- |{' --- |' * len(names)}",
    ]
    for key, title in run.works.items():
        if key not in _WITHOUT_RATE:
            cells = [_seconds(run, key, name) for name in names]
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _seconds(run: Run, work: str, name: str) -> str:
    middle = run.median(work, name, wall)
    if middle is None or (work == VERIFY and name == "tar | gzip"):
        return "–"  # gzip -t is no check of the files
    rate = f" ({run.size_bytes / 1e6 / middle:.0f})" if work in (FIRST, VERIFY, RESTORE) else ""
    return f"{middle:.1f}{rate}"


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
