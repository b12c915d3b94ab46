# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throw-away Ceph cluster with its RADOS Gateway, the engine of DigitalOcean Spaces: a real S3 service on loopback.

One monitor, one storage daemon that keeps everything in memory, one gateway that speaks plain HTTP and TLS. A second
gateway with other options may be started on the same cluster (:meth:`Rgw.gateway`). Debian's packages bring all of it.

For programs that are no tests of this process (containers, a person), ``rgw_server.py`` beside this file starts one.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .rgw_config import gateway_config, global_config

PACKAGES = ("ceph-mon", "ceph-osd", "ceph-common", "radosgw", "openssl")
#: The name that the gateway answers to besides 127.0.0.1; ``bucket.spaces.test`` is a bucket of it.
DNS_NAME = "spaces.test"
OWNER = "owner"
_START_SECONDS = 120
#: Above what the storage daemons and the scenarios take.
_FIRST_PORT = 20000
_claims: list[socket.socket] = []
_ENVIRONMENT = {**os.environ, "PATH": "/usr/bin:/usr/sbin:/bin:/sbin", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Keys:
    """A user of the gateway."""

    user: str
    access_key: str
    secret_key: str


@dataclass(frozen=True)
class Gateway:
    """One gateway that listens.

    :param directory: of its configuration and its log
    """

    directory: Path
    port: int
    tls_port: int

    @property
    def endpoint(self) -> str:
        """Its address without TLS."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoint_tls(self) -> str:
        """Its address with TLS; :attr:`Rgw.ca_bundle` is who vouches for it."""
        return f"https://127.0.0.1:{self.tls_port}"

    @property
    def log(self) -> str:
        """What it logged: a line a request."""
        return (self.directory / "log").read_text(errors="replace")


class Rgw:
    """The cluster.

    :param directory: a new directory; its path must be short, since sockets are made in it
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca_bundle = directory / "ca.crt"
        self._processes: dict[str, int] = {}
        self._gateways: dict[str, Gateway] = {}

    @property
    def main(self) -> Gateway:
        """The gateway that every test may use."""
        return self._gateways["main"]

    @property
    def endpoint(self) -> str:
        """Of the main gateway, without TLS."""
        return self.main.endpoint

    @property
    def endpoint_tls(self) -> str:
        """Of the main gateway, with TLS."""
        return self.main.endpoint_tls

    @property
    def pids(self) -> list[int]:
        """Of everything that was started."""
        return list(self._processes.values())

    def start(self) -> Rgw:
        """Make the cluster and start it; some two seconds."""
        need_packages()
        self.directory.mkdir(parents=True, exist_ok=True)
        make_certificates(self.directory)
        mon_port = free_port()
        config = self.directory / "ceph.conf"
        cluster_id = str(uuid.uuid4())
        config.write_text(global_config(directory=self.directory, cluster_id=cluster_id, mon_port=mon_port))
        for name in ("mon", "osd", "run", "crash", "gateways"):
            (self.directory / name).mkdir()
        self._start_monitor(cluster_id, mon_port)
        self._start_storage()
        self.gateway("main")
        self.make_user(OWNER)
        return self

    def _start_monitor(self, cluster_id: str, port: int) -> None:
        monmap = self.directory / "monmap"
        address = f"[v2:127.0.0.1:{port}/0]"
        self._run("monmaptool", "--create", "--clobber", "--fsid", cluster_id, "--addv", "a", address, monmap)
        self._run("ceph-mon", "-i", "a", "-c", self._config, "--mkfs", "--monmap", monmap)
        self._spawn("mon", "ceph-mon", "-i", "a", "-c", self._config)
        self._wait("mon", lambda: self._succeeds("ceph", "-c", self._config, "--connect-timeout", "5", "mon", "stat"))

    def _start_storage(self) -> None:
        identity = str(uuid.uuid4())
        self._run("ceph", "-c", self._config, "osd", "new", identity)
        self._run("ceph-osd", "-i", "0", "-c", self._config, "--mkfs", "--osd-uuid", identity)
        self._spawn("osd", "ceph-osd", "-i", "0", "-c", self._config)

        def is_up() -> bool:
            state = json.loads(self._run("ceph", "-c", self._config, "osd", "stat", "--format=json"))
            return bool(state.get("num_up_osds", 0))

        self._wait("osd", is_up)

    def gateway(self, name: str, options: Mapping[str, str] | None = None) -> Gateway:
        """A gateway of that name, started at its first use; C(options) are of radosgw."""
        if name in self._gateways:
            return self._gateways[name]
        directory = self.directory / "gateways" / name
        directory.mkdir()
        gateway = Gateway(directory=directory, port=free_port(), tls_port=free_port())
        config = directory / "ceph.conf"
        section = gateway_config(
            directory=self.directory, log=directory / "log", port=gateway.port, tls_port=gateway.tls_port,
            dns_name=DNS_NAME, options=options or {},
        )  # fmt: skip
        config.write_text(self._config.read_text() + section)
        self._spawn(f"rgw-{name}", "radosgw", "-n", "client.rgw", "-c", config)
        self._wait(f"rgw-{name}", lambda: answers(gateway.endpoint))
        self._gateways[name] = gateway
        return gateway

    def make_user(self, name: str) -> Keys:
        """A user with keys of its own; made once, known afterwards."""
        secret = f"{name}-secret-0123456789"
        known = self.directory / f"user-{name}"
        if not known.exists():
            self.admin(
                "user", "create", f"--uid={name}", f"--display-name={name}", f"--access-key={name.upper()}KEY",
                f"--secret={secret}",
            )  # fmt: skip
            known.touch()
        return Keys(user=name, access_key=f"{name.upper()}KEY", secret_key=secret)

    def admin(self, *words: str) -> Any:
        """What radosgw-admin answers, C(None) where it says nothing."""
        output = self._run("radosgw-admin", "-c", self._config, *words)
        return json.loads(output) if output.lstrip().startswith((b"{", b"[")) else None

    def stop(self) -> None:
        """End everything; nothing of it is kept."""
        for pid in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        for pid in self._processes.values():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        self._processes.clear()

    @property
    def _config(self) -> Path:
        return self.directory / "ceph.conf"

    def _spawn(self, name: str, *argv: str | Path) -> None:
        with open(self.directory / f"{name}.out", "wb") as output:
            process = subprocess.Popen(
                [*argv, "-f"], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_ENVIRONMENT,
                start_new_session=True,
            )  # fmt: skip
        self._processes[name] = process.pid
        process.returncode = 0  # it is waited for by stop(), and not by Popen

    def _wait(self, name: str, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and not _has_ended(self._processes[name]):
            if is_ready():
                return
            time.sleep(0.1)
        self.stop()
        output = (self.directory / f"{name}.out").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{name} did not start: {output}")

    def _run(self, *argv: str | Path) -> bytes:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=_ENVIRONMENT, timeout=_START_SECONDS
        )
        if done.returncode != 0:
            raise RuntimeError(f"{argv[0]}: {done.stderr.decode(errors='replace')[-2000:]}")
        return done.stdout

    def _succeeds(self, *argv: str | Path) -> bool:
        return subprocess.run(argv, capture_output=True, check=False, env=_ENVIRONMENT).returncode == 0


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG) != (0, 0)
    except ChildProcessError:
        return True


def answers(endpoint: str) -> bool:
    """Whether a gateway answers there."""
    context = ssl.create_default_context()
    try:
        # a proxy that the environment names is none for loopback
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(endpoint, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def free_port() -> int:
    """A port of loopback that nobody uses now, that the kernel gives to nobody, and that no other test is about to use.

    A port that the kernel chose could go to an outgoing connection before the daemon listens on it.
    """
    first_of_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(_FIRST_PORT, max(first_of_kernel, _FIRST_PORT + 1000))
        claim = socket.socket(socket.AF_UNIX)
        with socket.socket() as listener:
            try:
                # a name without a file, which goes with this process
                claim.bind(f"\0cora-test-port-{port}")
                listener.bind(("127.0.0.1", port))
            except OSError:
                claim.close()
                continue
        _claims.append(claim)
        return port


def need_packages() -> None:
    """Fail, and say what to install, where the daemons are missing; nothing is skipped."""
    missing = [name for name in ("ceph-mon", "ceph-osd", "ceph", "radosgw", "openssl") if not shutil.which(name)]
    if missing:
        # not by pytest: the control node of Molecule starts this too, and has none
        raise RuntimeError(
            f"missing: {', '.join(missing)}. apt-get install --no-install-recommends {' '.join(PACKAGES)}"
        )


def make_certificates(directory: Path) -> None:
    """An authority of its own, C(ca.crt), and what it signed for the gateway, C(server.crt) and C(server.key)."""
    names = f"DNS:{DNS_NAME},DNS:*.{DNS_NAME},DNS:localhost,IP:127.0.0.1"
    extensions = directory / "server.ext"
    extensions.write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
    for argv in (
        "req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=cora-test-ca -addext keyUsage=critical,keyCertSign "
        "-keyout ca.key -out ca.crt",
        f"req -newkey rsa:2048 -nodes -subj /CN={DNS_NAME} -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -extfile server.ext "
        "-out server.crt",
    ):
        subprocess.run(["openssl", *argv.split()], cwd=directory, check=True, capture_output=True)


def new_directory() -> Path:
    """A directory of a path that is short enough for the sockets in it."""
    return Path(tempfile.mkdtemp(prefix="cora-rgw-", dir="/tmp"))
