# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Ansible reaches a test node: one exec of the container engine for each task.

The community's plugins mount or look at the container first, copy each module into it, make it executable, run it and
remove it: five calls, and the calls are what takes the time of a task. Here a module comes on standard input.
"""

from __future__ import annotations

DOCUMENTATION = r"""
name: cora_node
short_description: Run tasks in a container of the tests
description: One exec of the container engine for each task, as the container's root.
author: cora.backup contributors
options:
  remote_addr:
    description: Name of the container.
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
  engine:
    description: The engine that runs it.
    default: podman
    env:
      - name: CORA_TEST_ENGINE
"""

import shlex
import subprocess
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.connection import ConnectionBase


class Connection(ConnectionBase):
    """A container that runs."""

    transport = "cora_node"
    has_pipelining = True
    always_pipeline_modules = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command line, in_data at its standard input."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        container = self.get_option("remote_addr")
        argv = [self.get_option("engine"), "exec", "--interactive", container, "/bin/sh", "-c", cmd]
        done = subprocess.run(argv, input=in_data or b"", capture_output=True, check=False)
        if done.returncode != 0 and _is_away(done.returncode, done.stderr):
            raise AnsibleConnectionFailure(f"{container}: {done.stderr.decode(errors='replace').strip()}")
        return done.returncode, done.stdout, done.stderr

    def put_file(self, in_path: str, out_path: str) -> None:
        """Write a local file to the node."""
        super().put_file(in_path, out_path)
        self._must(f"cat > {shlex.quote(out_path)}", Path(in_path).read_bytes())

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Write a file of the node to a local one."""
        super().fetch_file(in_path, out_path)
        Path(out_path).write_bytes(self._must(f"cat {shlex.quote(in_path)}"))

    def close(self) -> None:
        """Nothing is open between two tasks."""
        self._connected = False

    def _must(self, cmd: str, in_data: bytes = b"") -> bytes:
        code, output, error = self.exec_command(cmd, in_data)
        if code != 0:
            raise AnsibleError(f"{cmd}: {error.decode(errors='replace').strip()}")
        return output


def _is_away(code: int, said: bytes) -> bool:
    """Whether it is the engine that failed, not the command: podman then ends with 125, Docker says so."""
    return code == 125 or said.startswith(b"Error response from daemon")
