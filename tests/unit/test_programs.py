# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""programs.run: what a program gets, and what an error says."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import ProgramError
from ansible_collections.cora.backup.plugins.module_utils.programs import SYSTEM_PATH, find_program, redact, run


def test_output_and_status_come_back() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 3)


def test_environment_is_minimal_and_in_the_c_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-pass-on")
    monkeypatch.setenv("LD_PRELOAD_TEST", "neither")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    lines = dict(line.split("=", 1) for line in run(["env"]).stdout.decode().splitlines())
    assert set(lines) <= {"LC_ALL", "LANG", "PATH", "HOME", "USER", "LOGNAME", "PWD", "SHLVL", "_"}
    assert lines["LC_ALL"] == "C"
    assert run(["sh", "-c", "echo $EXTRA"], env={"EXTRA": "one"}).stdout == b"one\n"


def test_root_never_follows_the_callers_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = tmp_path / "git"
    planted.write_text("#!/bin/sh\necho planted\n")
    planted.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    if os.geteuid() == 0:
        assert run(["sh", "-c", "echo $PATH"]).stdout.decode().strip() == SYSTEM_PATH
        assert b"planted" not in run(["git", "--version"]).stdout
    else:
        assert find_program("git") == str(planted)


def test_standard_input_is_empty_or_what_was_given() -> None:
    assert run(["cat"]).stdout == b""
    assert run(["cat"], input_bytes=b"\x00\xff" * 100_000).stdout == b"\x00\xff" * 100_000


def test_there_is_no_terminal_to_ask_on() -> None:
    assert run(["sh", "-c", "exec 3</dev/tty"], check=False).returncode != 0


def test_words_are_never_read_by_a_shell() -> None:
    assert run(["echo", "$(id); `id` > x"]).stdout == b"$(id); `id` > x\n"


def test_failure_names_command_status_and_reason() -> None:
    with pytest.raises(ProgramError) as caught:
        run(["sh", "-c", "echo 'first line' >&2; echo last >&2; exit 7"])
    assert caught.value.returncode == 7
    assert caught.value.argv[0] == "sh"
    assert caught.value.stderr == "first line\nlast"
    assert "exit status 7: first line / last" in str(caught.value)


def test_long_and_dirty_errors_are_cut_and_escaped() -> None:
    with pytest.raises(ProgramError) as caught:
        run(["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x >&2; printf '\\033[2Jend' >&2; exit 1"])
    assert len(caught.value.stderr) <= 2000
    assert str(caught.value).endswith("\\x1b[2Jend")


def test_missing_program_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ansible_collections.cora.backup.plugins.module_utils.programs.SYSTEM_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramError, match="install the package git") as caught:
        run(["git", "--version"])
    assert caught.value.returncode == 127


def test_missing_directory_is_not_mistaken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="No such file or directory") as caught:
        run(["true"], cwd=str(tmp_path / "absent"))
    assert caught.value.returncode == 126


def test_time_out_stops_the_program_and_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    began = time.monotonic()
    with pytest.raises(ProgramError, match=r"did not finish within 0\.5 s") as caught:
        run(["sh", "-c", f"sleep 600 & echo $! > {pid_file}; wait"], timeout_seconds=0.5)
    assert time.monotonic() - began < 60
    assert caught.value.returncode == -signal.SIGKILL
    child = int(pid_file.read_text())
    for _unused in range(200):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the child of a program that was stopped is still running")


def test_a_daemon_left_behind_is_not_waited_for(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    began = time.monotonic()
    done = run(["sh", "-c", f"echo started; sleep 300 & echo $! > {pid_file}"], outlived=True, timeout_seconds=120)
    assert done.stdout == b"started\n"
    assert time.monotonic() - began < 100
    os.kill(int(pid_file.read_text()), signal.SIGKILL)  # still there: it was not stopped with its parent


def test_output_can_go_to_a_file(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        file.write(b"head\n")
        file.flush()
        assert run(["echo", "tail"], stdout_fd=file.fileno()).stdout == b""
    assert (tmp_path / "out").read_bytes() == b"head\ntail\n"


def test_another_account_is_taken_on_without_any_group() -> None:
    if os.geteuid() != 0:
        with pytest.raises(ProgramError, match="only root"):
            run(["id"], as_uid=12345)
        return
    assert run(["id"], as_uid=12345, as_gid=23456).stdout.decode().strip() == "uid=12345 gid=23456 groups=23456"
    assert run(["id", "-G"], as_uid=12345, as_gid=5, as_groups=[7]).stdout.decode().split() == ["5", "7"]
    with tempfile.TemporaryDirectory() as secret, pytest.raises(ProgramError):
        run(["ls", secret], as_uid=12345)
    assert run(["sh", "-c", "echo $HOME"], as_uid=12345).stdout == b"/nonexistent\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:pa55@host/x.git", "https://host/x.git"),
        ("fatal: 'https://ghp_abc@github.com/a/b' no", "fatal: 'https://github.com/a/b' no"),
        ("https://u:p@ss@host/x", "https://host/x"),
        ("https://u:p/ss@host/x", "https://host/x"),
        ("ssh://u:p@host:22/x", "ssh://host:22/x"),
        ("https://host/x?private_token=abc&ref=1", "https://host/x?private_token=***&ref=1"),
        ("https://u:p/ss@host/x https://host/y", "https://host/x https://host/y"),
        ("git@github.com:a/b.git", "git@github.com:a/b.git"),
        ("https://host:8080/@scope/pkg", "https://host:8080/@scope/pkg"),
        ("https://host/@scope/pkg", "https://host/@scope/pkg"),
    ],
)
def test_credentials_are_taken_out_of_urls(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize("piece", ["x", "a://b:", "?", "&token", "a://b:c/", "://@"])
def test_hostile_output_does_not_hold_anybody_up(piece: str) -> None:
    began = time.monotonic()
    redact(piece * (200_000 // len(piece)))
    assert time.monotonic() - began < 20  # backtracking would take hours


def test_an_error_carries_no_credentials() -> None:
    with pytest.raises(ProgramError) as caught:
        run(["sh", "-c", 'echo "cannot reach $0" >&2; exit 1', "https://me:hunter2@example.org/x"])
    assert "hunter2" not in str(caught.value) + caught.value.stderr + "".join(caught.value.argv)
