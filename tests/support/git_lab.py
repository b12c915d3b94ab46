# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project and its remote, made and asked with the real git."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from ansible_collections.cora.backup.plugins.module_utils.git_repo import GitRepo

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "c",
    "GIT_COMMITTER_EMAIL": "c@example.org",
}


def git(directory: Path, *arguments: str) -> str:
    settings = ("-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", "-c", "safe.directory=*")
    done = subprocess.run(
        ["git", "-C", str(directory), *settings, *arguments],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(directory: Path, name: str, content: str = "") -> str:
    (directory / name).write_text(content or name)
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", f"add {name}")
    return git(directory, "rev-parse", "HEAD")


def opened(project: Path) -> GitRepo:
    warnings: list[str] = []
    repo = GitRepo.open(str(project), warnings)
    assert repo is not None, warnings
    return repo


def fingerprint(directory: Path) -> dict[str, tuple[int, int, str]]:
    """Every file of a repository, so that a test can say that nothing was written."""
    found = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
        found[str(path)] = (status.st_mtime_ns, status.st_ino, content)
    return found


def bare_repository(tmp_path: Path) -> Path:
    """A bare repository with three commits on main."""
    path = tmp_path / "remote.git"
    path.mkdir()
    git(path, "init", "-q", "--bare")
    seed = tmp_path / "seed"
    git(tmp_path, "clone", "-q", str(path), str(seed))
    git(seed, "checkout", "-q", "-b", "main")
    for name in ("one", "two", "three"):
        commit(seed, name, f"{name}\n" * 200)
    git(seed, "push", "-q", "origin", "main")
    return path


def clone_of(remote: Path, path: Path) -> Path:
    """A clone, at this place."""
    git(path.parent, "clone", "-q", str(remote), str(path))
    return path
