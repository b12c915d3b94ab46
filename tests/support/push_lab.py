# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work trees with the hook, remotes to push to, and a stand-in for cora that notes how it was called."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.cora.backup.plugins.module_utils.push_guard_install import GuardSettings, install_guard

REPO = Path(__file__).resolve().parents[2]
HOOK = REPO / "roles/git_hooks/files/pre-push"
LIMIT = 10_000
HARD_LIMIT = 50_000
LARGE = 20_000
REFUSED = 60_000

_FAKE_CORA = """#!/bin/sh
case $1 in
    push-guard) exec {cora} "$@" ;;
    *) {{ echo "$0 $*"; pwd; env | grep ^GIT_; }} >> {log}; echo 'reason of the failure' >&2; exit {code} ;;
esac
"""


@dataclass
class Lab:
    """A directory with repositories; nobody's Git configuration but this one's counts."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir(exist_ok=True)
        (self.home / ".gitconfig").write_text(
            "[user]\nname = Ann\nemail = ann@example.org\n[init]\ndefaultBranch = main\n"
            '[protocol "file"]\nallow = always\n'
            "[safe]\ndirectory = *\n[advice]\nignoredHook = false\n"
        )
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self.environment = {**kept, "HOME": str(self.home), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def log(self) -> Path:
        """What the stand-in for cora was called with."""
        return self.root / "calls"

    def git(self, directory: Path, *words: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *words],
            cwd=directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            user=user,
            group=user,
        )

    def ok(self, directory: Path, *words: str) -> str:
        done = self.git(directory, *words)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout.strip()

    def bare(self, name: str = "remote.git") -> Path:
        self.ok(self.root, "init", "-q", "--bare", name)
        return self.root / name

    def work_tree(self, name: str = "work", remote: Path | None = None) -> Path:
        """A work tree with one pushed commit, whose remote is called C(hub)."""
        path = self.root / name
        self.ok(self.root, "init", "-q", name)
        self.commit(path, "README.md", 10)
        if remote is not None:
            self.ok(path, "remote", "add", "hub", str(remote))
            self.ok(path, "push", "-q", "hub", "main")
        return path

    def guarded(self, remote: Path) -> Path:
        """A work tree with one pushed commit and the hook, whose remote is called C(hub)."""
        path = self.work_tree(remote=remote)
        install_guard(self.settings(path))
        return path

    def stop_over_limit(self, path: Path) -> None:
        """Have the hook stop a push, not only warn."""
        self.ok(path, "config", "cora.pushOverLimit", "stop")

    def push(self, path: Path, *words: str) -> tuple[bool, str]:
        """Whether a push went through, and what it said; C(main) to C(hub) where no words say otherwise."""
        done = self.git(path, "push", *(words or ("hub", "main")))
        return done.returncode == 0, done.stderr

    def commit(self, path: Path, name: str, size_bytes: int, message: str = "") -> str:
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(size_bytes))
        self.ok(path, "add", "-A")
        self.ok(path, "commit", "-q", "-m", message or "a commit")
        return self.ok(path, "rev-parse", "HEAD")

    def remove(self, path: Path, name: str) -> str:
        self.ok(path, "rm", "-q", "--", name)
        self.ok(path, "commit", "-q", "-m", "remove it")
        return self.ok(path, "rev-parse", "HEAD")

    def fake_cora(self, *, code: int = 0, cora: str = "false") -> Path:
        """A command that stands for cora: its backup ends with C(code); it explains by C(cora)."""
        path = self.root / "bin/cora"
        path.parent.mkdir(exist_ok=True)
        path.write_text(_FAKE_CORA.format(cora=cora, log=self.log, code=code))
        path.chmod(0o755)
        return path

    def settings(self, path: Path, *, over_limit: str = "warn", command: Path | None = None) -> GuardSettings:
        return GuardSettings(
            project=str(path),
            hook=HOOK.read_text(),
            limit_bytes=LIMIT,
            hard_limit_bytes=HARD_LIMIT,
            over_limit=over_limit,
            command=str(command or self.fake_cora()),
            arguments=("backup", "now", "--project", str(path)),
        )

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def write_hook(path: Path, body: str) -> Path:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path
