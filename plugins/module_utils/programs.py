# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs, run one way: a list of words, a clean environment, a time limit, and an error to act on."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any

from .errors import ProgramError
from .names import printable

#: Where root looks for programs. What the caller's PATH says is never followed as root: it may name a user's directory.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: What a person installs to get a program (Debian's names).
_PACKAGES = {
    "git": "install the package git",
    "systemctl": "this host does not run systemd",
    "pm2": "install it with `npm install -g pm2`",
    "node": "install the package nodejs",
    "sqlite3": "install the package sqlite3",
    "rclone": "install the package rclone",
}

_STDERR_LIMIT = 2000
_COMMAND_LIMIT = 500
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126

# The repetitions are bounded, so that a megabyte of somebody else's output costs no more than its length.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20}://)([^\s'\"]+)")
_AUTHORITY_END = re.compile(r"[/?#]")
_QUERY_SECRET = re.compile(
    r"(?i)([?&][^=&\s'\"]{0,64}(?:token|key|passw|secret|auth|signature)[^=&\s'\"]{0,64}=)[^&\s'\"]+"
)


@dataclass(frozen=True)
class Completed:
    """What a program left: its output (empty where it went to a file) and its exit status, negative for a signal."""

    stdout: bytes
    stderr: bytes
    returncode: int


def redact(text: str) -> str:
    """C(text) without the credentials that URLs in it carry."""
    return _QUERY_SECRET.sub(r"\1***", _URL.sub(_without_user, text))


def last_words(output: bytes, limit: int = _STDERR_LIMIT) -> str:
    """The end of what a program said, on lines of their own, without credentials."""
    # Cut twice: the first cut may go through a URL, and what is left of it is gone with the second.
    text = output[-4 * limit :].decode("utf-8", "replace")
    return redact(text).strip()[-limit:]


def find_program(name: str, path: str | None = None) -> str | None:
    """Full path of a program, looked for where :func:`run` would look; None where there is none."""
    return shutil.which(name, path=path or _search_path())


def home_of(uid: int) -> str:
    """Home directory of an account; a directory that does not exist for a uid without an account."""
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return "/nonexistent"


def run(
    argv: Sequence[str],
    *,
    cwd: str | None = None,
    timeout_seconds: float = 60.0,
    as_uid: int | None = None,
    as_gid: int | None = None,
    as_groups: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
    input_bytes: bytes | None = None,
    stdout_fd: int | None = None,
    outlived: bool = False,
    check: bool = True,
) -> Completed:
    """Run a program to its end.

    The environment is minimal (C locale, PATH, HOME and the names of the account); C(env) adds to it. There is no
    terminal, and standard input is C(input_bytes) or empty. On a time-out the program and its children are killed.

    :param timeout_seconds: how long it may take
    :param as_uid: run as this account (root only), in no group but C(as_gid) and C(as_groups)
    :param as_gid: the group; default: the account's own
    :param stdout_fd: where standard output goes; the result's C(stdout) is empty then
    :param outlived: the program may leave a daemon behind that keeps its output open; do not wait for that to close
    :param check: raise when the exit status is not 0
    :raises ProgramError: missing, failed, or out of time
    """
    words = list(argv)
    environment = _environment(os.geteuid() if as_uid is None else as_uid, env)
    options: dict[str, Any] = {"env": environment, "cwd": cwd, "start_new_session": True}
    options.update(_identity(words, as_uid, as_gid, as_groups))
    if shutil.which(words[0], path=environment["PATH"]) is None:
        raise _missing(words)
    # With outlived, output goes to files: a daemon that inherits a pipe keeps the reader waiting, and dies by SIGPIPE.
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _unused in range(2)] if outlived else None
        options["stdout"] = stdout_fd if stdout_fd is not None else files[0] if files else subprocess.PIPE
        options["stderr"] = files[1] if files else subprocess.PIPE
        done = _finish(words, options, input_bytes, timeout_seconds)
        if files:
            done = Completed(_content(files[0]), _content(files[1]), done.returncode)
    if check and done.returncode != 0:
        raise _failed(words, done)
    return done


def _search_path() -> str:
    if os.geteuid() == 0:
        return SYSTEM_PATH
    # Relative and empty entries mean the working directory: somebody else's, perhaps.
    own = [entry for entry in os.environ.get("PATH", "").split(":") if entry.startswith("/")]
    return ":".join(own) or SYSTEM_PATH


def _environment(uid: int, extra: Mapping[str, str] | None) -> dict[str, str]:
    environment = {"LC_ALL": "C", "LANG": "C", "PATH": _search_path(), "HOME": home_of(uid)}
    if uid == os.geteuid() and uid != 0 and os.environ.get("HOME"):
        environment["HOME"] = os.environ["HOME"]
    try:
        environment["USER"] = environment["LOGNAME"] = pwd.getpwuid(uid).pw_name
    except KeyError:
        pass  # a uid without an account: programs cope, and a made-up name would mislead them
    environment.update(extra or {})
    return environment


def _identity(argv: Sequence[str], uid: int | None, gid: int | None, groups: Sequence[int]) -> dict[str, Any]:
    if uid is None or uid == os.geteuid():
        return {}
    if os.geteuid() != 0:
        raise ProgramError(
            f"Cannot run {_command(argv)} as uid {uid}: only root can run a program as somebody else.",
            argv=_words(argv),
            returncode=_NOT_EXECUTABLE,
        )
    if gid is None:
        try:
            gid = pwd.getpwuid(uid).pw_gid
        except KeyError:
            gid = 65534
    return {"user": uid, "group": gid, "extra_groups": list(groups)}


def _finish(argv: Sequence[str], options: dict[str, Any], data: bytes | None, timeout_seconds: float) -> Completed:
    stdin = subprocess.DEVNULL if data is None else subprocess.PIPE
    try:
        # run_command() belongs to AnsibleModule, and the engine runs without Ansible.
        process = subprocess.Popen(  # pylint: disable=ansible-bad-function
            argv, stdin=stdin, close_fds=True, **options
        )
    except (OSError, ValueError) as exc:  # ValueError: a NUL byte in a word
        raise ProgramError(
            f"Cannot run {_command(argv)}: {exc}.", argv=_words(argv), returncode=_NOT_EXECUTABLE
        ) from exc
    with process:
        try:
            stdout, stderr = process.communicate(data, timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise ProgramError(
                f"{_command(argv)} did not finish within {timeout_seconds:g} s and was stopped.",
                argv=_words(argv),
                returncode=-signal.SIGKILL,
            ) from None
        except BaseException:  # an interrupt must not leave the program running unseen
            _kill(process)
            raise
    return Completed(stdout or b"", stderr or b"", process.returncode)


def _kill(process: subprocess.Popen[bytes]) -> None:
    # The process leads a session of its own, so its group is its children and nobody else.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _without_user(url: re.Match[str]) -> str:
    scheme, rest = url.groups()
    authority = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    if "@" in authority:
        return scheme + rest[authority.rindex("@") + 1 :]
    # A password may hold a slash that nobody escaped: what looks like a port then is none.
    _host, colon, port = authority.partition(":")
    if colon and not port.isdigit() and "@" in rest:
        return scheme + rest[rest.rindex("@") + 1 :]
    return scheme + rest


def _missing(argv: Sequence[str]) -> ProgramError:
    hint = _PACKAGES.get(os.path.basename(argv[0]), "install it, or give its full path")
    return ProgramError(
        f"The program {printable(argv[0])} was not found: {hint}.", argv=_words(argv), returncode=_NOT_FOUND
    )


def _failed(argv: Sequence[str], done: Completed) -> ProgramError:
    said = last_words(done.stderr)
    status = f"exit status {done.returncode}" if done.returncode > 0 else f"signal {-done.returncode}"
    message = f"{_command(argv)} ended with {status}"
    if said:
        message += ": " + " / ".join(printable(line.strip()) for line in said.splitlines() if line.strip())
    return ProgramError(message, argv=_words(argv), returncode=done.returncode, stderr=said)


def _words(argv: Sequence[str]) -> list[str]:
    return [redact(word) for word in argv]


def _command(argv: Sequence[str]) -> str:
    text = printable(redact(" ".join(shlex.quote(word) for word in argv)))
    return text if len(text) <= _COMMAND_LIMIT else text[:_COMMAND_LIMIT] + "…"
