# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run measured, and the file it is kept in: C(results/<set>-<cache>.json)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median

from .measure import Cost
from .rounds import Results


@dataclass(frozen=True)
class Run:
    """All that a report is made of.

    :param contestants: their versions, by name
    :param works: their titles, by key
    :param title: what was measured, where that is not a tree of files
    """

    set_name: str
    files: int
    size_bytes: int
    contestants: Mapping[str, str]
    works: Mapping[str, str]
    results: Results
    machine: Mapping[str, str]
    rounds: int
    cold: bool
    title: str = ""

    def median(self, work: str, name: str, value: Callable[[Cost], float]) -> float | None:
        """The middle of the rounds; None where a contestant did not do that work."""
        costs = self.results.get(work, {}).get(name)
        return median(value(cost) for cost in costs) if costs else None


def wall(cost: Cost) -> float:
    """Seconds that passed."""
    return cost.wall_seconds


def cpu(cost: Cost) -> float:
    """Seconds of all cores."""
    return cost.cpu_seconds


def peak(cost: Cost) -> float:
    """Bytes of memory of the largest process."""
    return float(cost.peak_bytes)


def keep(run: Run, directory: str) -> None:
    """Write a run to its file, in place of an earlier one of the same data set and cache."""
    os.makedirs(directory, exist_ok=True)
    name = f"{run.set_name}-{'cold' if run.cold else 'warm'}.json"
    with open(os.path.join(directory, name), "w", encoding="utf-8") as stream:
        json.dump(asdict(run), stream, indent=1)
        stream.write("\n")


def kept(directory: str) -> list[Run]:
    """All runs that were kept."""
    runs = []
    for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
        with open(os.path.join(directory, name), encoding="utf-8") as stream:
            document = json.load(stream)
        document["results"] = {
            work: {one: [Cost(**cost) for cost in costs] for one, costs in by_name.items()}
            for work, by_name in document["results"].items()
        }
        runs.append(Run(**document))
    return runs
