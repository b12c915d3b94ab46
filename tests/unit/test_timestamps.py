# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times of ids and documents, read by hand for speed: the same as by C(strptime), and refused alike."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from ansible_collections.cora.backup.plugins.module_utils.ids import id_time, id_timestamp, is_id
from ansible_collections.cora.backup.plugins.module_utils.timestamps import moment_of

DOCUMENT, ID = "%Y-%m-%dT%H:%M:%SZ", "%Y%m%d-%H%M%S"
ODD = ("2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T23:59:60Z",
       "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2024-1-2T3:4:5Z", "2024-01-01 00:00:00Z",
       "2024-01-01T00:00:00", "2024-01-01T00:00:00+00:00", "2024-01-01T00:00:00.5Z", "20240101T000000Z", "",
       "2024-01-01T00:00:00Z\n", "\u0662\u0660\u0662\u0664-01-01T00:00:00Z")  # fmt: skip


def outcome(read: Callable[[str], datetime], text: str) -> datetime | None:
    try:
        return read(text)
    except ValueError:
        return None


def by_strptime(form: str) -> Callable[[str], datetime]:
    return lambda text: datetime.strptime(text, form).replace(tzinfo=timezone.utc)


def random_digits(count: int) -> list[str]:
    """As often as not a time."""
    chance = random.Random(20260101)
    return [
        f"{chance.randrange(10000):04}{chance.randrange(16):02}{chance.randrange(36):02}"
        f"{chance.randrange(27):02}{chance.randrange(63):02}{chance.randrange(63):02}"
        for _unused in range(count)
    ]


@pytest.mark.parametrize("text", ODD)
def test_odd_times_of_documents(text: str) -> None:
    assert outcome(moment_of, text) == outcome(by_strptime(DOCUMENT), text)


def test_times_are_those_of_strptime() -> None:
    seen = {True: 0, False: 0}
    for digits in random_digits(5000):
        text = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[8:10]}:{digits[10:12]}:{digits[12:]}Z"
        expected = outcome(by_strptime(DOCUMENT), text)
        assert outcome(moment_of, text) == expected, text
        backup_id = f"{digits[:8]}-{digits[8:]}-nogit"
        assert outcome(id_time, backup_id) == outcome(by_strptime(ID), backup_id[:15]) == expected
        assert is_id(backup_id) == (expected is not None)
        if expected is not None:
            assert moment_of(id_timestamp(backup_id)) == expected
        seen[expected is not None] += 1
    assert min(seen.values()) > 1000, "too few of one kind to prove anything"


@pytest.mark.parametrize("nothing", [None, 5, b"2024-01-01T00:00:00Z"])
def test_what_is_no_text_is_no_time(nothing: object) -> None:
    with pytest.raises(TypeError):
        moment_of(nothing)  # type: ignore[arg-type]
