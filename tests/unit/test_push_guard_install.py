# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hook beside other people's hooks: put in its place, changed, taken away."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import pytest
from ansible.plugins.filter.core import regex_replace
from ansible_collections.cora.backup.plugins.module_utils.errors import ProjectError, SettingsError
from ansible_collections.cora.backup.plugins.module_utils.push_guard_install import (
    command_note,
    install_guard,
    remove_guard,
)
from support.modules import run_module
from support.push_lab import HOOK, LARGE, REPO, Lab, write_hook


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab(tmp_path)
    # the installation asks the global configuration of whoever owns the work tree: here that of the test
    monkeypatch.setattr(
        "ansible_collections.cora.backup.plugins.module_utils.programs.home_of", lambda _uid: str(made.home)
    )
    monkeypatch.setenv("HOME", str(made.home))
    return made


@pytest.fixture
def work(lab: Lab) -> Path:
    return lab.work_tree(remote=lab.bare())


def pushes(lab: Lab, work: Path) -> bool:
    return lab.git(work, "push", "hub", "main").returncode == 0


def state(work: Path) -> dict[str, str]:
    """Everything that an installation may touch."""
    found = {"config": (work / ".git/config").read_text()}
    for path in sorted((work / ".git").rglob("*hook*/**/*")):
        found[str(path)] = os.readlink(path) if path.is_symlink() else f"{path.stat().st_mode:o} {path.read_bytes()!r}"
    return found


def test_installed_twice_changed_once_and_removed_without_a_trace(lab: Lab, work: Path) -> None:
    before = state(work)
    settings = lab.settings(work)
    assert install_guard(settings, check=True)["changed"]
    assert state(work) == before
    first = install_guard(settings)
    assert first["changed"]
    assert first["hook"] == str(work / ".git/hooks/pre-push")
    assert first["chained"] is None
    assert not install_guard(settings)["changed"]
    assert not install_guard(settings, check=True)["changed"]
    assert install_guard(replace(settings, over_limit="stop"))["changes"] == ["set cora.pushOverLimit to stop"]
    assert remove_guard(str(work), check=True)["changed"]
    assert remove_guard(str(work))["changed"]
    assert state(work) == before
    assert not remove_guard(str(work))["changed"]


def test_a_hook_that_is_there_is_kept_and_put_back(lab: Lab, work: Path) -> None:
    write_hook(work / ".git/hooks/pre-push", "exit 5")
    before = state(work)
    chained = install_guard(lab.settings(work))["chained"]
    assert chained == str(work / ".git/hooks/pre-push.cora-chained")
    lab.commit(work, "small", 10)
    assert not pushes(lab, work)
    assert not install_guard(lab.settings(work))["changed"]
    remove_guard(str(work))
    assert state(work) == before


def test_a_hook_that_is_a_link_is_kept_as_one(lab: Lab, work: Path) -> None:
    write_hook(work / "tools/check", "exit 5")
    (work / ".git/hooks/pre-push").symlink_to("../../tools/check")
    install_guard(lab.settings(work))
    lab.commit(work, "small", 10)
    assert not pushes(lab, work)
    assert HOOK.read_bytes() == (work / ".git/hooks/pre-push").read_bytes()
    remove_guard(str(work))
    assert os.readlink(work / ".git/hooks/pre-push") == "../../tools/check"


def test_a_tool_that_wrote_its_hook_over_ours_counts(lab: Lab, work: Path) -> None:
    hooks = work / ".git/hooks"
    write_hook(hooks / "pre-push", "exit 1")
    install_guard(lab.settings(work))
    write_hook(hooks / "pre-push", "exit 0")
    install_guard(lab.settings(work))
    assert "exit 0" in (hooks / "pre-push.cora-chained").read_text()
    assert "exit 1" in (hooks / "pre-push.cora-chained.old").read_text()
    assert pushes(lab, work)


def test_a_foreign_hook_is_not_removed(lab: Lab, work: Path) -> None:
    hooks = work / ".git/hooks"
    write_hook(hooks / "pre-push", "exit 1")
    install_guard(lab.settings(work))
    write_hook(hooks / "pre-push", "exit 0")
    assert remove_guard(str(work))["warnings"]
    assert "exit 0" in (hooks / "pre-push").read_text()
    assert (hooks / "pre-push.cora-chained").exists()


# --- core.hooksPath ---

HUSKY = 'h="$(dirname "$(dirname "$0")")/$(basename "$0")"\n[ ! -f "$h" ] || exec sh -e "$h" "$@"'


def test_hooks_of_husky_run_as_they_did_and_are_not_touched(lab: Lab, work: Path) -> None:
    """Husky finds the person's hook by its own name and place."""
    seen = lab.root / "seen"
    for name in ("pre-push", "pre-commit", "commit-msg"):
        write_hook(work / ".husky/_" / name, HUSKY)
        (work / ".husky" / name).write_text(f'echo "{name} $#" >> "{seen}"\n')
    lab.ok(work, "config", "core.hooksPath", ".husky/_")
    before = state(work)
    tree = lab.ok(work, "status", "--porcelain")
    result = install_guard(lab.settings(work, over_limit="stop"))
    assert result["hook"] == str(work / ".git/cora-hooks/pre-push")
    assert result["chained"] == str(work / ".husky/_/pre-push")
    assert not install_guard(lab.settings(work, over_limit="stop"))["changed"]
    assert lab.ok(work, "status", "--porcelain") == tree
    lab.commit(work, "small", 10)
    assert pushes(lab, work)
    assert seen.read_text() == "pre-commit 0\ncommit-msg 1\npre-push 2\n"
    lab.commit(work, "dump.sql", LARGE)
    assert not pushes(lab, work)
    remove_guard(str(work))
    assert state(work) == before


def test_husky_set_up_anew_is_guarded_again_by_the_next_run(lab: Lab, work: Path) -> None:
    lab.ok(work, "config", "core.hooksPath", ".husky")
    install_guard(lab.settings(work, over_limit="stop"))
    lab.ok(work, "config", "core.hooksPath", ".husky/_")
    lab.commit(work, "dump.sql", LARGE)
    assert install_guard(lab.settings(work, over_limit="stop"))["changed"]
    assert not pushes(lab, work)
    remove_guard(str(work))
    assert lab.ok(work, "config", "core.hooksPath") == ".husky/_"


def test_a_global_directory_of_hooks_is_handed_over_to_and_left_alone(lab: Lab, work: Path) -> None:
    write_hook(lab.home / "hooks/pre-push", f"touch {lab.root}/ran")
    write_hook(lab.home / "hooks/post-commit", f"touch {lab.root}/committed")
    lab.ok(work, "config", "--global", "core.hooksPath", "~/hooks")
    before = state(work)
    assert install_guard(lab.settings(work, over_limit="stop"))["chained"] == str(lab.home / "hooks/pre-push")
    assert not install_guard(lab.settings(work, over_limit="stop"))["changed"]
    assert sorted(path.name for path in (lab.home / "hooks").iterdir()) == ["post-commit", "pre-push"]
    lab.commit(work, "small", 10)
    assert pushes(lab, work)
    assert (lab.root / "ran").exists()
    assert (lab.root / "committed").exists()
    lab.commit(work, "dump.sql", LARGE)
    assert not pushes(lab, work)
    remove_guard(str(work))
    assert state(work) == before


def test_no_hook_is_simulated_whose_presence_alone_means_something(lab: Lab, work: Path) -> None:
    lab.ok(work, "config", "core.hooksPath", "hooks")
    install_guard(lab.settings(work))
    names = {path.name for path in (work / ".git/cora-hooks").iterdir()}
    assert "pre-commit" in names
    assert not names & {"push-to-checkout", "reference-transaction", "proc-receive", "update"}


def test_what_others_put_into_our_directory_is_left(lab: Lab, work: Path) -> None:
    lab.ok(work, "config", "core.hooksPath", "hooks")
    install_guard(lab.settings(work))
    write_hook(work / ".git/cora-hooks/update", "exit 0")
    assert "cora-hooks/update" in remove_guard(str(work))["warnings"][0]
    assert [path.name for path in (work / ".git/cora-hooks").iterdir()] == ["update"]


def test_a_linked_work_tree_shares_its_hooks(lab: Lab, work: Path) -> None:
    lab.ok(work, "worktree", "add", "-q", "-b", "side", str(lab.root / "side"))
    assert install_guard(lab.settings(lab.root / "side"))["hook"] == str(work / ".git/hooks/pre-push")


def test_a_path_set_for_one_work_tree_alone_is_refused(lab: Lab, work: Path) -> None:
    lab.ok(work, "config", "extensions.worktreeConfig", "true")
    lab.ok(work, "config", "--worktree", "core.hooksPath", "elsewhere")
    with pytest.raises(ProjectError, match=r"git config --worktree --unset core\.hooksPath"):
        install_guard(lab.settings(work))


# --- errors, rights ---


def test_no_repository(lab: Lab, tmp_path: Path) -> None:
    for project in (tmp_path / "home", tmp_path / "nothing"):
        with pytest.raises(ProjectError):
            install_guard(lab.settings(project))
        with pytest.raises(ProjectError):
            remove_guard(str(project))


@pytest.mark.parametrize(
    "change",
    [
        {"hook": "#!/bin/sh\n"},
        {"limit_bytes": -1},
        {"over_limit": "ask"},
        {"command": "cora"},
        {"arguments": ("a\nb",)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_settings_that_cannot_be(lab: Lab, tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        replace(lab.settings(tmp_path), **change)  # type: ignore[arg-type]


@pytest.mark.skipif(os.geteuid() != 0, reason="works for somebody else")
def test_root_writes_with_the_rights_of_the_owner(lab: Lab, work: Path) -> None:
    for path in (lab.root, *lab.root.parents[:2]):
        path.chmod(0o755)
    subprocess.run(["chown", "-R", "65534:65534", lab.root], check=True)
    result = install_guard(lab.settings(work))
    assert result["owner"] == "nobody"
    for path in (work / ".git/hooks/pre-push", work / ".git/config"):
        assert path.stat().st_uid == 65534
    remove_guard(str(work))
    # a directory of hooks that leads to where only root may write
    trap = lab.root.parent / f"{lab.root.name}-trap"
    trap.mkdir()
    (work / ".git/hooks").rename(work / ".git/old")
    (work / ".git/hooks").symlink_to(trap)
    with pytest.raises(ProjectError, match="Permission denied"):
        install_guard(lab.settings(work))
    assert not list(trap.iterdir())
    assert os.geteuid() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="looks at what root owns")
def test_a_command_that_others_can_change_is_no_command_for_sudo(lab: Lab, tmp_path: Path) -> None:
    assert command_note("/bin/sh") == ""
    command = write_hook(tmp_path / "bin/cora", "exit 0")
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    assert command_note(str(command)) == ""
    (tmp_path / "link").symlink_to(command)
    (tmp_path / "bin").chmod(0o775)
    assert "bin can be changed" in command_note(str(tmp_path / "link"))
    (tmp_path / "bin").chmod(0o755)
    os.chown(command, 65534, 65534)
    assert "cora can be changed" in command_note(str(command))
    assert "cannot be looked at" in command_note(str(tmp_path / "nothing"))


# --- the module ---


def test_the_module(lab: Lab, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options: dict[str, Any] = {"project": work, "hook": HOOK.read_text(), "command": lab.fake_cora()}
    check = run_module(capsys, "push_guard", check=True, diff=True, **options)
    assert check["changed"]
    assert "pre-push" in check["diff"]["after"]
    first = run_module(capsys, "push_guard", **options)
    assert first["changed"]
    assert first["chained"] is None
    assert not run_module(capsys, "push_guard", **options)["changed"]
    assert lab.ok(work, "config", "--get-all", "cora.pushArgument").split() == ["backup", "now", "--project", str(work)]
    assert run_module(capsys, "push_guard", project=work, state="absent")["changed"]
    assert not run_module(capsys, "push_guard", project=work, state="absent")["changed"]
    failed = run_module(capsys, "push_guard", project=lab.root, state="absent")
    assert failed["failed"]
    assert failed["error"] == "ProjectError"


# --- the rule for sudo ---


def test_the_rule_holds_the_command_word_for_word(tmp_path: Path) -> None:
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True)
    environment.filters["regex_replace"] = regex_replace
    template = environment.from_string((REPO / "roles/git_hooks/templates/sudoers.j2").read_text())
    arguments = ["backup", "now", "--project", "/srv/my app:1,2=3"]
    rule = template.render(
        git_hooks_command="/usr/local/bin/cora", git_hooks_backup_arguments=arguments, git_hooks_granted=["deploy"]
    )
    assert r"= /usr/local/bin/cora backup now --project /srv/my\ app\:1\,2\=3" in rule
    assert "deploy ALL = (root) NOPASSWD: CORA_PUSH\n" in rule
    file = tmp_path / "rule"
    file.write_text(rule)
    file.chmod(0o440)
    if shutil.which("visudo", path="/usr/sbin:/usr/bin"):
        subprocess.run(["/usr/sbin/visudo", "-cf", file], check=True)
