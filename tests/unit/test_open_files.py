# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""open_files: real processes that hold files open, map them, or stand in directories."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.cora.backup.plugins.module_utils.names import to_text
from ansible_collections.cora.backup.plugins.module_utils.open_files import (
    ancestors,
    holders,
    processes_inside,
)

KEEP = "print('ready', flush=True); sys.stdin.read()"
HOLD = f"import sys; held = open(sys.argv[1], 'rb'); {KEEP}"
MAP = (
    f"import mmap, sys\nwith open(sys.argv[1], 'rb') as f: held = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)\n{KEEP}"
)
STAND = f"import os, sys; os.chdir(sys.argv[1]); {KEEP}"


@contextmanager
def process(code: str, argument: object) -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", code, os.fsencode(str(argument))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline()
        try:
            yield running.pid
        finally:
            running.kill()


def test_who_holds_a_file_open(tmp_path: Path) -> None:
    database, other = tmp_path / "a.db", tmp_path / "b.db"
    for path in (database, other):
        path.write_text("content")
    assert holders([str(database), str(other), str(tmp_path / "absent")]) == []
    with process(HOLD, database) as pid:
        (found,) = holders([str(other), str(database), str(tmp_path / "absent")])
        assert (found.pid, found.path) == (pid, str(database))
        assert found.name.startswith("python")
        assert holders([str(other)]) == []


def test_a_name_is_not_what_counts(tmp_path: Path) -> None:
    raw = to_text(os.fsencode(tmp_path) + b"/not-utf8-\xff.db")
    Path(raw).write_text("content")
    os.link(raw, tmp_path / "second-name")
    with process(HOLD, tmp_path / "second-name") as pid:
        assert [(holder.pid, holder.path) for holder in holders([raw])] == [(pid, raw)]
        # Its name now leads to another file, as after a restore: the old one is still held, the new one is not.
        (tmp_path / "second-name").rename(tmp_path / "old")
        (tmp_path / "second-name").write_text("new")
        assert holders([str(tmp_path / "second-name")]) == []
        assert len(holders([str(tmp_path / "old")])) == 1


def test_a_mapped_file_is_held_after_it_was_closed(tmp_path: Path) -> None:
    path = tmp_path / "mapped with a space.db"
    path.write_bytes(b"x" * 10_000)
    with process(MAP, path) as pid:
        assert [(holder.pid, holder.path) for holder in holders([str(path)])] == [(pid, str(path))]


def test_this_process_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "own"
    path.write_text("x")
    with path.open():
        assert holders([str(path)]) == []
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        assert processes_inside(str(tmp_path)) == []
    finally:
        os.chdir(before)


def test_a_link_is_not_the_file_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to("real")
    with process(HOLD, tmp_path / "real"):
        assert holders([str(tmp_path / "link")]) == []


def test_who_stands_in_a_directory(tmp_path: Path) -> None:
    inside = tmp_path / "project" / "deep" / "down"
    inside.mkdir(parents=True)
    (tmp_path / "project-2").mkdir()
    (tmp_path / "link").symlink_to("project")
    with process(STAND, inside) as pid, process(STAND, tmp_path / "project-2"):
        for name in ("project", "link", "project/deep/down"):
            (found,) = processes_inside(str(tmp_path / name))
            assert (found.pid, found.path) == (pid, str(inside))
        (tmp_path / "project").rename(tmp_path / "moved")
        assert [holder.pid for holder in processes_inside(str(tmp_path / "moved"))] == [pid]
        assert processes_inside(str(tmp_path / "project")) == []
        (tmp_path / "moved" / "deep" / "down").rmdir()
        assert processes_inside(str(tmp_path / "moved")) == []


def test_a_shell_that_started_us_is_an_ancestor() -> None:
    assert os.getppid() in ancestors()
    assert os.getpid() not in ancestors()


def test_processes_that_come_and_go_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    churn = "import subprocess\nwhile True: subprocess.run(['true'])"
    with subprocess.Popen([sys.executable, "-c", churn]) as running:
        try:
            until = time.monotonic() + 1
            while time.monotonic() < until:
                assert holders([str(path)]) == []
                assert processes_inside(str(tmp_path)) == []
        finally:
            running.kill()
