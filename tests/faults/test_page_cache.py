# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives go around the page cache on real file systems, and a disk that fills up on that way is told."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import VaultError
from ansible_collections.cora.backup.plugins.module_utils.past_cache import PastCacheReader, is_cached
from ansible_collections.cora.backup.plugins.module_utils.vault_file import VaultFile
from support.tools import tool

MEBIBYTE = 1024 * 1024
CONTENT = random.Random(5).randbytes(9 * MEBIBYTE + 1234)
KINDS = ("ext4", "xfs", "btrfs")

Mount = Callable[..., Path]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_and_read_stays_out_of_the_cache(kind: str, loop: Mount) -> None:
    path = loop(size_mib=320 if kind == "xfs" else 128, kind=kind) / "new"
    with VaultFile(str(path)) as stream:
        for begin in range(0, len(CONTENT), 300_000):
            stream.write(CONTENT[begin : begin + 300_000])
    fd = os.open(path, os.O_RDONLY)
    try:
        assert not is_cached(fd, MEBIBYTE, 4096)
        reader = PastCacheReader(fd)
        assert reader.read_at(100, 8 * MEBIBYTE) == CONTENT[100 : 100 + 8 * MEBIBYTE]
        if kind != "btrfs":  # which may read through the cache all the same, to compare its own sums
            assert not is_cached(fd, MEBIBYTE, 4096)
        reader.close()
        assert tool("cat", path) == CONTENT
        assert is_cached(fd, 100, len(CONTENT) - 100), "what was just read by somebody else is in the cache"
    finally:
        os.close(fd)


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_told(kind: str, loop: Mount) -> None:
    disk = loop(size_mib=320 if kind == "xfs" else 128, kind=kind)
    with pytest.raises(VaultError, match="file system is full"), VaultFile(str(disk / "new")) as stream:
        for _number in range(50):
            stream.write(CONTENT)
