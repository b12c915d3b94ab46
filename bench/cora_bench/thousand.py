# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A thousand backups of a small tree: how soon those verbs answer that look at all of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from .contestants import AGAIN, FIND, HISTORY, LIST, STATUS, Contestant, Place
from .datasets import Dataset, Spec, ensure
from .measure import measure, run
from .ours import many_backups
from .rounds import Results, make_place

NAME = "thousand"
BACKUPS = 1_000
#: What the project promises itself of each, as typed.
LIMIT_SECONDS = 0.2
WORKS = {LIST: "List", STATUS: "Status", FIND: "Find a file", HISTORY: "Versions of a file"}
_SPEC = Spec(NAME, files=20, small_bytes=100_000)


def title(dataset: Dataset) -> str:
    """What was measured."""
    return f"{BACKUPS:,} backups of {dataset.files} files, one of which changed before each"


def make_dataset(scratch: str) -> Dataset:
    """The small tree."""
    return ensure(_SPEC, scratch)


def measure_all(dataset: Dataset, contestants: Sequence[Contestant], scratch: str, rounds: int) -> Results:
    """Make the backups of each contestant once, and measure its verbs in turn with the others'.

    What it leaves is for :func:`.rounds.clear_up`.
    """
    places = {}
    for number, contestant in enumerate(contestants):
        if LIST in contestant.works:
            place = make_place(dataset, os.path.join(scratch, "rounds", f"thousand-{number}"))
            contestant.prepare(place)
            print(f"{contestant.name}: {BACKUPS:,} backups are made", flush=True)
            _fill(contestant, place)
            places[contestant.name] = place
    results: Results = {work: {} for work in WORKS}
    for number in range(-1, rounds):  # once without counting: afterwards all is in memory
        for work, row in results.items():
            for contestant in contestants:
                if contestant.name in places and work in contestant.works:
                    place = places[contestant.name]
                    cost = measure(contestant.works[work](place), place.log)
                    if number >= 0:
                        row.setdefault(contestant.name, []).append(cost)
                        print(f"round {number + 1}  {contestant.name:18} {WORKS[work]:20} {cost.wall_seconds:6.3f} s")
    return results


def _fill(contestant: Contestant, place: Place) -> None:
    if contestant.is_ours:
        run(many_backups(place, BACKUPS), place.log)
        return
    for number in range(BACKUPS):
        with open(os.path.join(place.dataset.path, place.dataset.sample), "a", encoding="ascii") as stream:
            stream.write(f"backup {number}\n")
        run(contestant.works[AGAIN](place), place.log)
