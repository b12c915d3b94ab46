# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway for others than this process: containers of a Molecule scenario, or a person who tries something.

``python3 -m support.rgw_server start FILE`` (with ``tests`` as the working directory) starts one that outlives the
command, and writes to FILE (0600), as JSON, where it listens and the keys of its owner; ``stop FILE`` ends it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from .rgw import DNS_NAME, OWNER, Rgw, answers, new_directory


def start(file: Path) -> None:
    """Start one, unless that of the file still answers."""
    if file.exists():
        if answers(json.loads(file.read_text())["endpoint"]):
            return
        stop(file)
    rgw = Rgw(new_directory()).start()
    keys = rgw.make_user(OWNER)
    known = {
        "endpoint": rgw.endpoint,
        "endpoint_tls": rgw.endpoint_tls,
        "port": rgw.main.port,
        "tls_port": rgw.main.tls_port,
        "dns_name": DNS_NAME,
        "ca_bundle": str(rgw.ca_bundle),
        "access_key": keys.access_key,
        "secret_key": keys.secret_key,
        "directory": str(rgw.directory),
        "config": str(rgw.directory / "ceph.conf"),
        "log": str(rgw.main.directory / "log"),
        "pids": rgw.pids,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent)
    with open(descriptor, "w", encoding="utf-8") as stream:
        json.dump(known, stream, indent=2)
    os.rename(name, file)


def stop(file: Path) -> None:
    """End what :func:`start` started."""
    if not file.exists():
        return
    known = json.loads(file.read_text())
    for pid in known["pids"]:
        # a number that the kernel gave to somebody else since is left alone
        with contextlib.suppress(OSError):
            if known["directory"].encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.killpg(pid, signal.SIGKILL)
    shutil.rmtree(known["directory"], ignore_errors=True)
    file.unlink()


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]](Path(sys.argv[2]).absolute())
