# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Ansible reaches a test node: the container's namespaces are entered once for each task.

The community's plugins mount or look at the container first, copy each module into it, make it executable, run it and
remove it: five calls of the engine, which take most of the time of a task. Here a module comes on standard input, and
the engine is only asked which process is the container's first.
"""

from __future__ import annotations

DOCUMENTATION = r"""
name: cora_node
short_description: Run tasks in a container of the tests
description: Enters the namespaces of the container's first process, as root.
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

import os
import shlex
import subprocess
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.connection import ConnectionBase, ensure_connect

_NAMESPACES = ("--mount", "--uts", "--ipc", "--pid", "--cgroup")
#: Variables that a container starts with; none of this machine's.
_CLEAN = ("env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root")


class Connection(ConnectionBase):
    """A container that runs."""

    transport = "cora_node"
    has_pipelining = True
    always_pipeline_modules = True
    _enter: tuple[str, ...] = ()

    def _connect(self) -> Connection:
        if not self._connected:
            engine, container = self.get_option("engine"), self.get_option("remote_addr")
            argv = [engine, "container", "inspect", "--format", "{{ .State.Pid }}", container]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            process = done.stdout.strip()
            if done.returncode != 0 or process == "0":
                raise AnsibleConnectionFailure(f"{container} does not run. {done.stderr.strip()}")
            # Only root may enter; who may use the engine without being root asks it.
            self._enter = (engine, "exec", "--interactive", container)
            if os.geteuid() == 0:
                self._enter = ("nsenter", f"--target={process}", *_NAMESPACES, "--", *_CLEAN)
            self._connected = True
        return self

    @ensure_connect
    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command line, in_data at its standard input."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        argv = [*self._enter, "/bin/sh", "-c", cmd]
        done = subprocess.run(argv, input=in_data or b"", capture_output=True, check=False)
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
