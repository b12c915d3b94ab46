# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fault tests share: a small real project, the engine in a process of its own, judges that are not ours."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from faults.driver import ENGINE_ERROR

DRIVER = Path(__file__).with_name("driver.py")
ID = re.compile(r"\d{8}-\d{6}-([0-9a-f]{4,40}|nogit)")
SIDE_FILES = ("-wal", "-shm", "-journal")
#: What backups leave out of :func:`make_project`, and a full restore carries over.
EXCLUDED = (".git", "node_modules", "src/__pycache__")

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Ended:
    """How a driver process ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def killed(self) -> bool:
        return self.returncode in (-9, 137)

    @property
    def document(self) -> dict[str, Any]:
        assert self.stdout.strip(), f"exit {self.returncode}: {self.stderr}"
        document = json.loads(self.stdout)
        assert isinstance(document, dict)
        return document

    def result(self) -> dict[str, Any]:
        """The result of a call that worked."""
        assert self.returncode == 0, f"exit {self.returncode}: {self.stdout}{self.stderr}"
        return self.document

    def error(self, name: str) -> str:
        """The sentence of the CoraError of this name that the call ended with."""
        assert self.returncode == ENGINE_ERROR, f"exit {self.returncode}: {self.stdout}{self.stderr}"
        assert self.document["error"] == name, self.document
        return str(self.document["message"])


def environment(cache: str | None = None) -> dict[str, str]:
    """For a driver that writes no byte code while it is traced: its renames would be counted too."""
    env = {**os.environ, "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**env, "PYTHONPYCACHEPREFIX": cache} if cache else env


def engine(call: str, *, wrapper: Iterable[str] = (), **arguments: Any) -> Ended:
    """Call the engine in a new process, below C(wrapper) where one is given."""
    request = json.dumps({"call": call, **arguments})
    done = subprocess.run(
        [*wrapper, sys.executable, str(DRIVER), request],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def tool(*argv: str | Path, cwd: str | Path | None = None) -> str:
    """Output of a program that has to succeed."""
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def side_by_side(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Apply a function that mostly waits for other processes, two at a time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(function, items))


def make_project(path: Path) -> Path:
    """A project with a bit of everything, every content different from every other."""
    for directory in ("src/deep/er", "src/__pycache__", "empty", "logs", "node_modules/pkg"):
        (path / directory).mkdir(parents=True)
    for name in (
        "README.md",
        "AI_WORK_LOG.md",
        ".env",
        "src/app.py",
        "src/deep/er/notes.txt",
        "logs/app.log",
        "src/__pycache__/app.pyc",
        "node_modules/pkg/index.js",
        "same.txt",
    ):
        (path / name).write_text(f"this is {name}\n" * 20)
    with open(os.fsencode(path) + b"/caf\xe9.txt", "wb") as stream:
        stream.write(b"a name that is not UTF-8\n")
    (path / "script.sh").write_text("#!/bin/sh\necho script\n")
    (path / "script.sh").chmod(0o751)
    os.symlink("src/app.py", path / "link")
    os.link(path / "src/app.py", path / "src/again.py")
    make_database(path / "data.db", "first")
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", path)
    tool("git", "-c", "init.defaultBranch=main", "init", "-q", path)
    tool(*git, "add", "README.md")
    tool(*git, "commit", "-q", "-m", "one")
    return path


def make_database(path: Path, text: str) -> None:
    """A database in WAL mode, its last rows only in the log, as after a crash of its writer."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany("INSERT INTO notes (text) VALUES (?)", [(f"{text} {n}",) for n in range(50)])
        connection.commit()


def change_database(path: Path, text: str) -> None:
    """New rows that stand only in the log: copied before the writer could put them into the database."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("INSERT INTO notes (text) VALUES (?)", (text,))
        connection.commit()
        for end in ("", *SIDE_FILES[:2]):
            shutil.copy2(f"{path}{end}", f"{path}{end}.kept")
    for end in ("", *SIDE_FILES[:2]):
        os.rename(f"{path}{end}.kept", f"{path}{end}")


def dump(database: str) -> str:
    """All that is in a database, by the sqlite3 program, from a copy so that nothing is changed by looking."""
    name = os.path.basename(database)
    scratch = Path(tool("mktemp", "-d").strip())
    try:
        for end in ("", *SIDE_FILES):
            if os.path.exists(database + end):
                shutil.copy2(database + end, scratch / (name + end))
        assert tool("sqlite3", scratch / name, "PRAGMA integrity_check").strip() == "ok", database
        return tool("sqlite3", scratch / name, ".dump")
    finally:
        shutil.rmtree(scratch)


Tree = dict[str, tuple[Any, ...]]


def tree(top: Path) -> Tree:
    """Everything in a directory: kind, mode, content; of databases what they hold, not their bytes."""
    found: Tree = {}
    for directory, directories, names in os.walk(os.fsencode(top)):
        for raw in directories + names:
            full = os.path.join(directory, raw)
            path = os.fsdecode(os.path.relpath(full, os.fsencode(top)))
            status = os.lstat(full)
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISLNK(status.st_mode):
                found[path] = ("link", os.readlink(full))
            elif stat.S_ISDIR(status.st_mode):
                found[path] = ("dir", mode)
            elif not stat.S_ISREG(status.st_mode):
                found[path] = ("other", stat.S_IFMT(status.st_mode))
            elif path.endswith(".db"):
                found[path] = ("database", mode, dump(os.fsdecode(full)))
            elif not path.endswith(SIDE_FILES):
                digest = hashlib.sha256(Path(os.fsdecode(full)).read_bytes()).hexdigest()
                found[path] = ("file", mode, status.st_mtime_ns, digest)
    return found


def without(found: Tree, *tops: str) -> Tree:
    """A tree without some of its directories."""
    return {path: what for path, what in found.items() if not any(f"{path}/".startswith(f"{top}/") for top in tops)}


def difference(one: Tree, other: Tree) -> list[str]:
    """Paths in which two trees differ, for messages."""
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def listed(vault: Path) -> list[str]:
    """Ids of the backups of a vault, by listing its directory."""
    return sorted(name for name in os.listdir(vault) if ID.fullmatch(name)) if vault.exists() else []


def check_backup(path: Path) -> None:
    """Judge one backup by coreutils and tar alone."""
    assert tool("sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS.txt", cwd=path) == ""
    tool("gunzip", "-t", path / "cora-full.tar.gz")
    tool("tar", "-tzf", path / "cora-full.tar.gz")
    named = {line[66:] for line in (path / "SHA256SUMS.txt").read_text().splitlines()}
    there = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()} - {"SHA256SUMS.txt"}
    assert there == named


def is_sealed(path: Path) -> bool:
    """Whether lsattr shows every file and directory of a backup as immutable."""
    lines = tool("lsattr", "-d", path).splitlines()
    lines += [line for line in tool("lsattr", "-Ra", path).splitlines() if line and not line.endswith(":")]
    # the listing of each directory names "." and "..": what lies above is no part of the backup
    lines = [line for line in lines if not line.endswith("/..")]
    return all("i" in line.split()[0] for line in lines)


def open_flags(path: Path) -> None:
    """Clear the flags of a tree, so that a test can throw it away."""
    subprocess.run(["chattr", "-R", "-f", "-i", "-a", str(path)], check=False)


def leftovers(place: Path) -> list[Path]:
    """Temporary files and trees of the engine outside of vaults; by find, because it goes down any depth."""
    words: list[str | Path] = ["find", place, "-name", ".cora", "-prune", "-o", "-name", ".*cora-*", "-print0"]
    return [Path(path) for path in tool(*words).split("\0") if path]
