# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of parts: whatever is unchanged wherever, it keeps the rules of a multipart upload and covers every byte."""

from __future__ import annotations

import random

import pytest
from ansible_collections.cora.backup.plugins.module_utils.index import Frame
from ansible_collections.cora.backup.plugins.module_utils.offsite_parts import (
    MIB,
    Part,
    Run,
    plan_parts,
    unchanged_runs,
)

SMALLEST, LARGEST, MOST = 5 * MIB, 5 * 1024 * MIB, 10_000


def check_rules(size_bytes: int, runs: list[Run], parts: list[Part]) -> None:
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert 1 <= len(parts) <= MOST
    at = 0
    for part in parts:
        assert part.offset == at and 0 < part.length_bytes <= LARGEST
        assert part.length_bytes >= SMALLEST or part is parts[-1]
        at += part.length_bytes
        if part.source_offset is not None:
            (run,) = [run for run in runs if run.offset <= part.offset < run.offset + run.length_bytes]
            assert part.offset + part.length_bytes <= run.offset + run.length_bytes
            assert part.source_offset - run.source_offset == part.offset - run.offset
    assert at == size_bytes


def copied_bytes(parts: list[Part]) -> int:
    return sum(part.length_bytes for part in parts if part.source_offset is not None)


@pytest.mark.parametrize("size_bytes", [1, 5 * MIB, 8 * MIB, 8 * MIB + 1, 9 * MIB, 100 * MIB, 900 * 1024 * MIB])
def test_all_is_sent_where_nothing_is_known(size_bytes: int) -> None:
    parts = plan_parts(size_bytes)
    check_rules(size_bytes, [], parts)
    assert copied_bytes(parts) == 0


@pytest.mark.parametrize("seed", range(300))
def test_any_runs(seed: int) -> None:
    chance = random.Random(seed)
    size_bytes, runs, at = chance.randrange(1, 400 * MIB), [], 0
    while at < size_bytes:
        at += chance.choice([0, 1, 3 * MIB, 30 * MIB])
        length_bytes = min(chance.choice([1, 4 * MIB, 5 * MIB, 6 * MIB, 90 * MIB]), size_bytes - at)
        if length_bytes > 0:
            runs.append(Run(at, length_bytes, chance.randrange(10**12)))
            at += length_bytes
    parts = plan_parts(size_bytes, runs)
    check_rules(size_bytes, runs, parts)
    assert parts == plan_parts(size_bytes, runs)


def test_most_of_a_large_archive_is_copied_where_little_changed() -> None:
    size_bytes = 1024 * MIB
    runs = [Run(0, 500 * MIB, 7), Run(501 * MIB, 523 * MIB, 600 * MIB)]
    parts = plan_parts(size_bytes, runs)
    check_rules(size_bytes, runs, parts)
    assert copied_bytes(parts) == size_bytes - SMALLEST


def test_ten_thousand_parts_are_never_exceeded_by_many_small_runs() -> None:
    runs = [Run(number * 12 * MIB, 6 * MIB, number * 6 * MIB) for number in range(9000)]
    size_bytes = 9000 * 12 * MIB
    check_rules(size_bytes, runs, plan_parts(size_bytes, runs))


def frame(number: int, offset: int, name: str, length_bytes: int = 100) -> Frame:
    return Frame(number, offset, length_bytes, 1000, name)


def test_runs_are_found_wherever_frames_moved() -> None:
    old = [frame(0, 0, "a"), frame(1, 100, "b"), frame(2, 200, "c"), frame(3, 300, "d")]
    new = [frame(0, 0, "new", 50), frame(1, 50, "a"), frame(2, 150, "b"), frame(3, 250, "d"), frame(4, 350, "c", 99)]
    assert unchanged_runs(new, old) == [Run(50, 200, 0), Run(250, 100, 300)]
