# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other people's tools. A tool that is missing fails the test and names its package: nothing is skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

_PACKAGES = {
    "bsdtar": "libarchive-tools",
    "chattr": "e2fsprogs",
    "getfacl": "acl",
    "git": "git",
    "lsattr": "e2fsprogs",
    "mkfs.ext4": "e2fsprogs",
    "setcap": "libcap2-bin",
    "setfacl": "acl",
    "setfattr": "attr",
    "sqlite3": "sqlite3",
}

#: How docs/ tell a person to restore; metadata and all.
TAR_EXTRACT = ("tar", "--acls", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpzf")


def tool(*argv: str | bytes | Path, cwd: Path | None = None, input_bytes: bytes | None = None) -> bytes:
    """Run a program; returns its standard output. Any complaint fails the test."""
    done = run(argv, cwd=cwd, input_bytes=input_bytes)
    assert done.returncode == 0, f"{argv}: {done.stderr.decode(errors='replace')}"
    return done.stdout


def run(
    argv: Sequence[str | bytes | Path], *, cwd: Path | None = None, input_bytes: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program that may fail."""
    name = os.fsdecode(argv[0])
    if shutil.which(name) is None:
        pytest.fail(f"{name} is missing: apt-get install {_PACKAGES.get(name, name)}")
    # C.UTF-8, since bsdtar leaves out names that its locale cannot express
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        argv, cwd=cwd, input=input_bytes, stdin=None if input_bytes is not None else subprocess.DEVNULL,
        capture_output=True, check=False, env=environment,
    )  # fmt: skip


def need_root() -> None:
    """Owners, capabilities and seals need root; a run that cannot prove them has to say so."""
    if os.geteuid() != 0:
        pytest.fail("these tests need root: they change owners, capabilities and inode flags")


def remove_sealed(top: Path) -> None:
    """Remove a directory that may hold sealed files."""
    if top.is_dir():
        # complains about links, on which there are no flags
        subprocess.run(["chattr", "-R", "-f", "-i", "-a", "--", top], stdin=subprocess.DEVNULL, check=False)
        shutil.rmtree(top)


def flip(path: Path, at: int, mask: int = 0x40) -> None:
    """Flip bits of one byte of a file, in place; once more, and it is as it was."""
    with path.open("r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ mask]))


def assert_no_child_is_left() -> None:
    """Whoever was forked has ended, and was waited for."""
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
