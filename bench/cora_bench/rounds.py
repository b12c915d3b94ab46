# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rounds: every contestant does each kind of work in turn, and what it restores is compared with the data."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .contestants import (
    AGAIN,
    CHANGED,
    FIRST,
    LIST,
    ONE_FILE,
    PRUNE,
    RESTORE,
    SAVE,
    VERIFY,
    Contestant,
    Place,
)
from .datasets import Dataset, change
from .measure import Cost, measure

#: EXT4 looks past an inode for so long after its file was removed (recently_deleted() in fs/ext4/ialloc.c: 300 s).
_INODES_REST_SECONDS = 330


@dataclass(frozen=True)
class Work:
    """One row of the results.

    :param check: looks at what the work left, after the clock
    :param prepare: what happens before the clock starts, given how many times it has
    """

    key: str
    title: str
    check: Callable[[Place], None] = lambda place: None
    prepare: Callable[[Place, int], None] = lambda place, number: None


def _same_tree(place: Place) -> None:
    # somebody else's tool; what it compares with is in the page cache
    done = subprocess.run(["diff", "-rq", "--no-dereference", place.dataset.path, place.out], capture_output=True)
    if done.returncode:
        sys.exit(f"{place.out} is not what was backed up:\n{done.stdout.decode(errors='replace')[:2000]}")


def _same_file(place: Place) -> None:
    found = [os.path.join(top, name) for top, _, names in os.walk(place.one) for name in names]
    wanted = os.path.join(place.dataset.path, place.dataset.sample)
    if len(found) != 1 or subprocess.run(["cmp", "-s", found[0], wanted]).returncode:
        sys.exit(f"{place.one} does not hold {place.dataset.sample} as it was backed up.")


def _one_left(place: Place) -> None:
    vault = os.path.join(place.home, "vault")
    if os.path.isdir(vault):  # ours: a peer's exit status has to do
        kept = [name for name in os.listdir(vault) if name[:1].isdigit()]
        if len(kept) != 1:
            sys.exit(f"A prune that keeps one backup left {len(kept)}.")


WORKS = (
    Work(FIRST, "First backup"),
    Work(AGAIN, "Backup, nothing changed"),
    Work(SAVE, "Save, nothing changed"),
    Work(CHANGED, "Backup, 1 % of the files changed", prepare=lambda place, number: change(place.dataset, number)),
    Work(VERIFY, "Verify, everything read"),
    Work(RESTORE, "Full restore", _same_tree),
    Work(ONE_FILE, "One file out", _same_file),
    Work(LIST, "List of the backups"),
    Work(PRUNE, "Prune, the newest backup is kept", _one_left),
)

#: work → contestant → a cost each round
Results = dict[str, dict[str, list[Cost]]]


def run_rounds(
    dataset: Dataset, contestants: Sequence[Contestant], works: Sequence[Work], scratch: str, rounds: int, *, cold: bool
) -> Results:
    """Measure all; the order of the contestants turns from round to round. What it leaves is for :func:`clear_up`."""
    top = os.path.join(scratch, "rounds")
    _let_inodes_rest(top)
    results: Results = {work.key: {} for work in works}
    turns = 0
    for number in range(rounds):
        turn = number % len(contestants)
        for contestant in [*contestants[turn:], *contestants[:turn]]:
            place = make_place(dataset, os.path.join(top, f"{number}-{contestants.index(contestant)}"))
            contestant.prepare(place)
            for work in works:
                if work.key not in contestant.works:
                    continue
                turns += 1
                work.prepare(place, turns)
                _warm(dataset, cold=cold)
                cost = measure(contestant.works[work.key](place), place.log, cold=cold)
                results[work.key].setdefault(contestant.name, []).append(cost)
                place.done.append(work.key)
                print(
                    f"round {number + 1}  {contestant.name:18} {work.title:32} {cost.wall_seconds:7.2f} s wall "
                    f"{cost.cpu_seconds:7.2f} s CPU {cost.peak_bytes / 1e6:6.0f} MB",
                    flush=True,
                )
                work.check(place)
            _shrink(place)
    return results


def clear_up(scratch: str) -> None:
    """Remove what the rounds left: of a million files for minutes, so it comes when the results are kept."""
    _remove(os.path.join(scratch, "rounds"))


def _let_inodes_rest(top: str) -> None:
    """Remove what an earlier run left, and wait until ext4 hands its inodes out again: see :func:`_shrink`."""
    if os.path.lexists(top):
        _remove(top)
    try:
        rest_seconds = os.stat(f"{top}.removed").st_mtime + _INODES_REST_SECONDS - time.time()
    except FileNotFoundError:
        return
    if rest_seconds > 0:
        print(f"Waiting {rest_seconds:.0f} s: files of an earlier run were removed a moment ago.", flush=True)
        time.sleep(rest_seconds)


def _remove(top: str) -> None:
    discard(top)
    Path(f"{top}.removed").touch()


def make_place(dataset: Dataset, path: str) -> Place:
    """An empty place."""
    place = Place(dataset, f"{path}/home", f"{path}/out", f"{path}/one", f"{path}/log")
    os.makedirs(place.home)
    os.makedirs(place.one)
    return place


def _warm(dataset: Dataset, *, cold: bool) -> None:
    if not cold:
        # through a pipe: tar sees when its archive is /dev/null, and reads nothing
        subprocess.run(["sh", "-c", 'tar -C "$1" -cf - . | cat >/dev/null', "warm", dataset.path], check=True)


def _shrink(place: Place) -> None:
    """Free the space of a round, but leave the restored files there, empty, until the end.

    ext4 does not hand out an inode again for minutes after its file was removed, and searches past all of these for
    each new one: 70,000 files removed before a restore make that restore take three times as long, whoever does it.
    """
    discard(place.home)
    for top, _, names in os.walk(place.out):
        for name in names:
            path = os.path.join(top, name)
            if not os.path.islink(path):
                os.truncate(path, 0)


def discard(path: str) -> None:
    """Remove a tree, sealed backups in it too."""
    if os.path.lexists(path):
        subprocess.run(["chattr", "-R", "-f", "-i", "-a", path], stderr=subprocess.DEVNULL)
        shutil.rmtree(path)
