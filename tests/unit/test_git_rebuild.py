# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project that lost its .git gets it again, judged by the real git."""

from __future__ import annotations

import base64
import http.server
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.backup import create_backup
from ansible_collections.cora.backup.plugins.module_utils.git_rebuild import rebuild_history
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings
from support.modules import run_module
from support.push_lab import REPO, Lab


@dataclass
class Case:
    """A clone with pushed and unpushed commits, a tag, a stash and uncommitted work; a backup of it; .git is gone."""

    lab: Lab
    remote: Path
    project: Path
    vault: Path
    backup_id: str = ""

    def git(self, *words: str) -> str:
        done = self.lab.git(self.project, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def state(self) -> dict[str, str]:
        asked = {
            "head": ("rev-parse", "HEAD"),
            "branch": ("symbolic-ref", "--short", "HEAD"),
            "status": ("status", "--porcelain"),
            "branches": ("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags"),
            "stashes": ("stash", "list", "--format=%H"),
        }
        return {name: self.git(*words) for name, words in asked.items()}

    def back_up(self) -> None:
        done = create_backup(BackupSettings(str(self.project), str(self.vault), seal="best_effort"))
        self.backup_id = done["id"]
        shutil.rmtree(self.project / ".git")

    def rebuild(self, url: str | None) -> dict[str, Any]:
        return rebuild_history(vault=str(self.vault), backup_id=self.backup_id, project=str(self.project), url=url)


@pytest.fixture
def case(tmp_path: Path, vault: Path) -> Case:
    lab = Lab(tmp_path)
    remote, project = tmp_path / "remote.git", tmp_path / "project"
    lab.git(tmp_path, "init", "-q", "--bare", str(remote))
    lab.git(tmp_path, "clone", "-q", str(remote), str(project))
    found = Case(lab, remote, project, vault)
    (project / "a").write_text("1")
    found.git("add", ".")
    found.git("commit", "-qm", "pushed")
    found.git("push", "-q", "origin", "HEAD:main")
    found.git("branch", "-q", "--set-upstream-to=origin/main")
    (project / "a").write_text("2")
    found.git("commit", "-qam", "not pushed")
    found.git("branch", "idea")
    found.git("tag", "v1")
    for content in ("old stash", "new stash"):
        (project / "a").write_text(content)
        found.git("stash", "-q")
    (project / "a").write_text("in the middle of work")
    (project / "new").write_text("untracked")
    return found


def test_remote_and_bundle_give_back_all_of_it(case: Case) -> None:
    before = case.state()
    case.back_up()
    result = case.rebuild(str(case.remote))
    assert (result["state"], result["from"], result["warnings"]) == ("rebuilt", ["remote", "bundle"], [])
    assert case.state() == before
    assert case.git("rev-parse", "--abbrev-ref", "main@{upstream}") == "origin/main"
    assert case.git("stash", "show", "-p", "stash@{0}").endswith("+new stash\n\\ No newline at end of file")
    assert case.git("fsck", "--strict") == ""
    assert "cora" not in case.git("for-each-ref")
    again = case.rebuild(str(case.remote))
    assert (again["changed"], again["state"]) == (False, "present")


def test_without_a_remote_the_bundle_is_the_whole_history(case: Case) -> None:
    case.git("remote", "remove", "origin")
    before = case.state()
    case.back_up()
    result = case.rebuild(None)
    assert (result["state"], result["from"]) == ("rebuilt", ["bundle"])
    assert case.state() == before


def test_a_remote_that_is_gone_is_a_warning_and_a_later_run_gets_the_rest(case: Case) -> None:
    before = case.state()
    case.back_up()
    result = case.rebuild(str(case.remote) + ".gone")
    assert (result["state"], result["changed"], result["from"]) == ("none", False, [])
    assert "could not be read" in result["warnings"][0]
    assert "builds on commits of the remote" in result["warnings"][1]
    assert not (case.project / ".git").exists()
    assert case.rebuild(str(case.remote))["state"] == "rebuilt"
    assert case.state() == before


def test_a_forced_push_that_dropped_the_commit_is_said(case: Case) -> None:
    case.git("stash", "clear")
    case.git("reset", "-q", "--hard", "origin/main")
    case.git("branch", "-D", "idea")
    case.git("tag", "-d", "v1")
    case.back_up()
    assert not (case.vault / case.backup_id / "git").exists()
    other = case.lab.root / "other"
    case.lab.git(case.lab.root, "init", "-q", str(other))
    (other / "b").write_text("3")
    case.lab.git(other, "add", ".")
    case.lab.git(other, "commit", "-qm", "another history")
    case.lab.git(other, "push", "-q", "--force", str(case.remote), "HEAD:main")
    result = case.rebuild(str(case.remote))
    assert "not to be had any more" in result["warnings"][0]
    assert case.git("log", "-1", "--format=%s") == "another history"


def test_what_a_killed_run_left_is_removed(case: Case) -> None:
    case.back_up()
    left = case.project.parent / ".project.git-cora-new"
    (left / "refs").mkdir(parents=True)
    assert case.rebuild(str(case.remote))["state"] == "rebuilt"
    assert not left.exists()


def test_a_token_in_the_address_is_in_no_result(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    case.back_up()
    result = run_module(
        capsys,
        "project_history",
        project=case.project,
        vault=case.vault,
        url="http://user:tok3nsecret@127.0.0.1:9/x.git",
    )
    assert result["state"] == "none"
    assert "tok3nsecret" not in str(result)


def test_a_token_is_on_no_command_line_and_in_no_file(case: Case) -> None:
    case.back_up()
    log = case.lab.root / "exec.log"
    asked = Asked()
    address = f"http://ann:tok3nsecret@127.0.0.1:{asked.port}/x.git"
    code = (
        "import os; from ansible_collections.cora.backup.plugins.module_utils.git_rebuild import rebuild_history; "
        f"rebuild_history(vault={str(case.vault)!r}, backup_id={case.backup_id!r}, project={str(case.project)!r}, "
        "url=os.environ['ADDRESS'])"
    )
    with asked:
        subprocess.run(
            ["strace", "-f", "-qq", "-s", "4096", "-e", "trace=execve", "-o", str(log), sys.executable, "-c", code],
            check=True,
            env={**os.environ, "PYTHONPATH": str(REPO / "playbooks/collections"), "ADDRESS": address},
        )
    words = log.read_text()
    assert '"fetch"' in words
    assert "git-remote-http" in words
    assert "tok3nsecret" not in words
    assert base64.b64encode(b"ann:tok3nsecret").decode() in asked.credentials
    assert subprocess.run(["grep", "-r", "tok3nsecret", case.project], stdout=subprocess.DEVNULL).returncode == 1


class Asked:
    """A server that wants a password, and remembers what it was told."""

    def __init__(self) -> None:
        self.credentials = ""
        told = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told.credentials += self.headers.get("Authorization", "")
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic realm=git")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_words: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.port = self._server.server_port

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *unused: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def test_the_repository_belongs_to_the_owner_of_the_project(case: Case) -> None:
    for path in [case.project, *case.project.rglob("*")]:
        os.chown(path, 1234, 1234)
    case.back_up()
    case.rebuild(str(case.remote))
    owners = {path.lstat().st_uid for path in [case.project / ".git", *(case.project / ".git").rglob("*")]}
    assert owners == {1234}
