# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hook pre-push does about large files: a backup, the hook that was there before, advice to a person."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.push_guard import ignore_line
from ansible_collections.cora.backup.plugins.module_utils.push_guard_install import install_guard
from support.push_lab import HOOK, LARGE, REFUSED, REPO, Lab, write_hook


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def remote(lab: Lab) -> Path:
    return lab.bare()


@pytest.fixture
def work(lab: Lab, remote: Path) -> Path:
    return lab.guarded(remote)


# --- the backup ---


def test_cora_gets_no_variables_of_git_and_stands_nowhere(lab: Lab, work: Path) -> None:
    lab.commit(work, "dump.sql", LARGE)
    lab.environment["GIT_DIR"] = str(work / ".git")
    assert lab.push(work)[0]
    assert lab.calls()[1:] == ["/"]


def test_a_backup_that_fails_does_not_stop_the_push(lab: Lab, work: Path) -> None:
    lab.fake_cora(code=1)
    lab.commit(work, "dump.sql", LARGE)
    went, said = lab.push(work)
    assert went
    assert "No backup was made" in said
    assert "reason of the failure" in said


def test_without_cora_only_the_hard_limit_stops(lab: Lab, work: Path) -> None:
    (lab.root / "bin/cora").unlink()
    lab.commit(work, "dump.sql", LARGE)
    went, said = lab.push(work)
    assert went
    assert "is not there" in said
    assert "dump.sql" in said
    lab.commit(work, "disk.img", REFUSED)
    went, said = lab.push(work)
    assert not went
    assert "disk.img" in said


def test_trying_again_makes_no_second_backup(lab: Lab, work: Path) -> None:
    lab.commit(work, "disk.img", REFUSED)
    lab.push(work)
    made = lab.calls()
    assert "holds" in lab.push(work)[1]
    assert lab.calls() == made
    lab.commit(work, "disk2.img", REFUSED)
    lab.push(work)
    assert len(lab.calls()) == 2 * len(made)


def test_settings_that_make_no_sense_fall_back(lab: Lab, work: Path) -> None:
    lab.ok(work, "config", "cora.pushLimit", "ten")
    lab.ok(work, "config", "cora.pushOverLimit", "maybe")
    lab.commit(work, "dump.sql", LARGE)
    went, said = lab.push(work)
    assert went
    assert "no number of bytes" in said
    assert "not warn or stop" in said


def test_the_hook_alone_works_without_settings(lab: Lab, remote: Path) -> None:
    work = lab.work_tree("plain", lab.bare("plain.git"))
    shutil.copy(HOOK, work / ".git/hooks/pre-push")
    lab.commit(work, "dump.sql", LARGE)
    assert lab.push(work)[0]
    (work / "huge").touch()
    os.truncate(work / "huge", 101 * 1024 * 1024)
    lab.ok(work, "add", "-A")
    lab.ok(work, "commit", "-qm", "huge")
    went, said = lab.push(work)
    assert not went
    assert "101.0 MiB" in said


# --- who is not root ---


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else")
@pytest.mark.parametrize("allowed", [True, False])
def test_others_ask_sudo_or_say_why_there_is_no_backup(lab: Lab, work: Path, remote: Path, allowed: bool) -> None:
    (lab.root / "tool").mkdir()
    listing = "exit 0" if allowed else "exit 1"
    sudo = write_hook(
        lab.root / "tool/sudo", f'[ "$1 $2" != "-n -l" ] || {listing}\n[ "$1 $2" = "-n --" ] && shift 2 && exec "$@"'
    )
    lab.environment["PATH"] = f"{sudo.parent}:{lab.environment['PATH']}"
    lab.commit(work, "dump.sql", LARGE)
    for path in (lab.root, *lab.root.parents[:2]):
        path.chmod(0o755)
    subprocess.run(["chown", "-R", "65534:65534", lab.root], check=True)
    done = lab.git(work, "push", "hub", "main", user=65534)
    assert done.returncode == 0, done.stderr
    if allowed:
        assert "The backup is made." in done.stderr
        assert lab.calls()[0].endswith(f"backup now --project {work}")
    else:
        assert "you are not root" in done.stderr
        assert f"backup now --project {work}" in done.stderr
        assert not lab.calls()


# --- the hook that was there ---


@pytest.mark.parametrize("code", [0, 7])
def test_the_chained_hook_gets_arguments_and_input_and_decides(lab: Lab, remote: Path, code: int) -> None:
    work = lab.work_tree(remote=remote)
    seen = lab.root / "seen"
    write_hook(work / ".git/hooks/pre-push", f'{{ echo "$@"; cat; }} > "{seen}"; exit {code}')
    install_guard(lab.settings(work))
    before = lab.ok(work, "rev-parse", "hub/main")
    head = lab.commit(work, "dump.sql", LARGE)
    went, _said = lab.push(work)
    assert went == (code == 0)
    assert seen.read_text() == f"hub {remote}\nrefs/heads/main {head} refs/heads/main {before}\n"


def test_a_chained_hook_that_reads_nothing(lab: Lab, remote: Path) -> None:
    work = lab.work_tree(remote=remote)
    write_hook(work / ".git/hooks/pre-push", "exit 0")
    install_guard(lab.settings(work))
    for number in range(300):
        lab.ok(work, "update-ref", f"refs/heads/a-rather-long-name-of-a-branch-{number}", "main")
    assert lab.push(work, "hub", "--all")[0]


def test_a_chained_hook_does_not_run_when_the_guard_stops(lab: Lab, remote: Path) -> None:
    work = lab.work_tree(remote=remote)
    write_hook(work / ".git/hooks/pre-push", f"touch {lab.root}/ran")
    install_guard(lab.settings(work, over_limit="stop"))
    lab.commit(work, "dump.sql", LARGE)
    assert not lab.push(work)[0]
    assert not (lab.root / "ran").exists()


# --- what it says ---


@pytest.fixture
def explaining(lab: Lab, work: Path) -> Path:
    """The work tree, with a command that explains as cora does."""
    lab.environment["CORA_TEST_PYTHON_HERE"] = sys.executable
    lab.fake_cora(cora=str(REPO / "tests/support/cora_here"))
    return work


NAMES = ["with blank.bin", "new\nline.bin", "quo'te\".bin", "-dash.bin", "ünïcode.bin", "star*.bin", "$(touch x).bin"]


@pytest.mark.parametrize("name", NAMES)
def test_it_names_the_commit_and_what_would_help(lab: Lab, explaining: Path, name: str) -> None:
    lab.commit(explaining, "data/" + name, LARGE, message="nightly dump")
    commit = lab.ok(explaining, "rev-parse", "HEAD")
    remover = lab.remove(explaining, "data/" + name)
    went, said = lab.push(explaining)
    assert went
    assert f"brought by {commit[:10]} nightly dump" in said
    assert f"removed by {remover[:10]}" in said
    assert "git lfs migrate import" in said
    assert "--amend" not in said
    # the command that is shown has to mean exactly this file
    line = next(line for line in said.splitlines() if "git filter-repo" in line)
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {line.strip()}"], capture_output=True, check=True).stdout
    assert f"data/{name}".encode() in words.split(b"\0")
    assert not (explaining / "x").exists()


def test_what_came_with_the_last_commit_can_be_amended(lab: Lab, explaining: Path) -> None:
    lab.commit(explaining, "dump.sql", LARGE)
    assert "git rm --cached -- dump.sql && git commit --amend" in lab.push(explaining)[1]


def test_a_file_that_a_merge_brought(lab: Lab, explaining: Path) -> None:
    lab.ok(explaining, "switch", "-qc", "side")
    lab.commit(explaining, "a", 10)
    lab.ok(explaining, "switch", "-q", "main")
    lab.commit(explaining, "b", 10)
    lab.ok(explaining, "merge", "-q", "--no-commit", "--no-ff", "side")
    (explaining / "dump.sql").write_bytes(os.urandom(LARGE))
    lab.ok(explaining, "add", "-A")
    lab.ok(explaining, "commit", "-qm", "an evil merge")
    assert "an evil merge" in lab.push(explaining)[1]


@pytest.mark.parametrize("name", ["plain.bin", "st*r[1]?.bin", "back\\slash", "end  ", "!bang", "#hash", "dir/a b"])
def test_the_ignore_line_means_this_file(lab: Lab, name: str) -> None:
    work = lab.work_tree()
    for path in (name, "other.bin"):
        (work / path).parent.mkdir(exist_ok=True)
        (work / path).touch()
    (work / ".gitignore").write_text(f"{ignore_line(name)}\n")
    found = lab.ok(work, "ls-files", "-z", "--others", "--ignored", "--exclude-standard").split("\0")
    assert found[:-1] == [name]


def test_no_line_can_ignore_a_name_with_a_line_break() -> None:
    assert ignore_line("a\nb") is None
