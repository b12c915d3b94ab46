# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a service and the way to it: each gives a sentence that a person can act on."""

from __future__ import annotations

import dataclasses
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import s3_client
from ansible_collections.cora.backup.plugins.module_utils.errors import (
    OffsiteClockError,
    OffsiteCredentialsError,
    OffsiteError,
    OffsiteMissingError,
    OffsiteNetworkError,
    OffsitePermissionError,
    OffsiteTlsError,
    SettingsError,
)
from ansible_collections.cora.backup.plugins.module_utils.offsite_layout import head, marker
from ansible_collections.cora.backup.plugins.module_utils.offsite_notes import read_last_run
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import (
    Credentials,
    OffsiteSettings,
    read_offsite_settings,
    region_of,
)
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import SyncRequest, check_reachable, sync
from ansible_collections.cora.backup.plugins.module_utils.s3_client import S3, connect
from ansible_collections.cora.backup.plugins.module_utils.vault import Vault
from offsite.lab import MIB, check_sums, make_large_project, port_of, rclone_download, start_sync, through
from support.chaos_proxy import ChaosProxy
from support.engine import backup
from support.rgw import Rgw, make_certificates
from support.tools import tool


def run_sync(settings: OffsiteSettings, vault: Path) -> dict[str, Any]:
    return sync(SyncRequest(vault=str(vault), settings=settings))


def refused(settings: OffsiteSettings, kind: type[OffsiteError]) -> str:
    """The message with which a service is refused before anything is sent."""
    with pytest.raises(kind) as caught:
        check_reachable(connect(settings, attempts=2))
    assert type(caught.value) is kind
    assert settings.credentials.secret_key not in str(caught.value)
    return str(caught.value)


def test_unknown_access_key(settings: OffsiteSettings) -> None:
    wrong = dataclasses.replace(settings, credentials=Credentials("NOBODY", "x"))
    assert "SPACES_ACCESS_KEY" in refused(wrong, OffsiteCredentialsError)


def test_wrong_secret_key(settings: OffsiteSettings) -> None:
    wrong = dataclasses.replace(settings, credentials=Credentials(settings.credentials.access_key, "wrong"))
    assert "secret key does not belong" in refused(wrong, OffsiteCredentialsError)


def test_no_such_bucket(settings: OffsiteSettings) -> None:
    assert "BACKUP_BUCKET" in refused(dataclasses.replace(settings, bucket="no-such-bucket"), OffsiteMissingError)


def test_bucket_of_somebody_else(rgw: Rgw, settings: OffsiteSettings, project: Path, vault: Path) -> None:
    stranger = rgw.make_user("stranger")
    wrong = dataclasses.replace(settings, credentials=Credentials(stranger.access_key, stranger.secret_key))
    backup(project, vault)
    failed = run_sync(wrong, vault)["failures"]
    assert failed[0]["error"] == OffsitePermissionError.__name__ and "may not" in failed[0]["message"]


def test_no_object(s3: S3) -> None:
    assert head(s3, "prod/nothing") is None


def test_wrong_key_is_told_by_a_question_that_has_no_body(settings: OffsiteSettings) -> None:
    wrong = dataclasses.replace(settings, credentials=Credentials("NOBODY", "x"))
    with pytest.raises(OffsiteCredentialsError):
        head(connect(wrong), "prod/nothing")


def test_certificate_of_an_unknown_authority(settings: OffsiteSettings, tmp_path: Path) -> None:
    make_certificates(tmp_path)
    other = dataclasses.replace(settings, ca_bundle=str(tmp_path / "ca.crt"))
    assert "cora_offsite_ca_bundle" in refused(other, OffsiteTlsError)
    assert "certificate" in refused(dataclasses.replace(settings, ca_bundle=None), OffsiteTlsError)


def test_certificate_of_another_name(settings: OffsiteSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    other = dataclasses.replace(settings, endpoint=f"https://ip6-loopback.test:{port_of(settings)}")
    resolve_to_loopback(monkeypatch, "ip6-loopback.test")
    assert "certificate" in refused(other, OffsiteTlsError)


def test_tls_asked_of_a_service_without(rgw: Rgw, settings: OffsiteSettings) -> None:
    refused(dataclasses.replace(settings, endpoint=f"https://127.0.0.1:{rgw.main.port}"), OffsiteTlsError)


def test_nobody_listens(settings: OffsiteSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_client, "_ATTEMPTS", 2)
    with ChaosProxy(port_of(settings)) as proxy:
        port = proxy.port
    message = refused(through(settings, port), OffsiteNetworkError)
    assert "SPACES_ENDPOINT" in message and "refused" in message


def test_name_that_does_not_resolve(settings: OffsiteSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_client, "_ATTEMPTS", 2)
    other = dataclasses.replace(settings, endpoint="https://no-such-host.invalid")
    assert "SPACES_ENDPOINT" in refused(other, OffsiteNetworkError)


def test_clock_that_is_wrong(settings: OffsiteSettings, vault: Path, project: Path, tmp_path: Path) -> None:
    """The clock of another process is an hour ahead; the service has its own."""
    backup(project, vault)
    process = start_sync(settings, vault, tmp_path / "backup.env", clock_hours=1)
    output, problems = process.communicate()
    assert process.returncode == 3, problems
    assert OffsiteClockError.__name__.encode() in output and b"timedatectl" in output


def test_quota_that_is_used_up(rgw: Rgw, settings: OffsiteSettings, project: Path, vault: Path) -> None:
    made = backup(project, vault)
    rgw.admin("quota", "set", "--quota-scope=bucket", f"--bucket={settings.bucket}", "--max-objects=2")
    rgw.admin("quota", "enable", "--quota-scope=bucket", f"--bucket={settings.bucket}")
    result = run_sync(settings, vault)
    assert result["failures"][0]["error"] == "OffsiteQuotaError" and "quota" in result["failures"][0]["message"]
    assert marker(connect(settings), made.id) is None
    rgw.admin("quota", "disable", "--quota-scope=bucket", f"--bucket={settings.bucket}")
    assert run_sync(settings, vault)["uploaded"] == [made.id]


def test_service_that_asks_to_slow_down(rgw: Rgw, settings: OffsiteSettings, vault: Path, tmp_path: Path) -> None:
    """Ceph's own throttle, with two requests at a time, and eight threads that want to send."""
    gateway = rgw.gateway("throttled", {"rgw_scheduler_type": "throttler", "rgw_max_concurrent_requests": "2"})
    made = backup(make_large_project(tmp_path / "project", size_bytes=40 * MIB), vault)
    result = run_sync(dataclasses.replace(settings, endpoint=gateway.endpoint_tls), vault)
    assert " 503 " in gateway.log
    assert (result["uploaded"], result["failures"]) == ([made.id], [])
    rclone_download(settings, made.id, tmp_path / "there")
    check_sums(tmp_path / "there")


def test_service_that_never_has_time(
    rgw: Rgw, settings: OffsiteSettings, client: Any, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = rgw.gateway("busy", {"rgw_scheduler_type": "throttler", "rgw_max_concurrent_requests": "1"})
    backup(project, vault)
    monkeypatch.setattr(s3_client, "_ATTEMPTS", 2)
    busy = dataclasses.replace(settings, endpoint=gateway.endpoint_tls)
    client.put_object(Bucket=settings.bucket, Key="large", Body=bytes(8 * MIB))
    with ChaosProxy(gateway.tls_port, bytes_per_second=1000) as slow:
        # somebody else's request, which takes its time, is the one that may run
        occupied = threading.Thread(target=_send_slowly, args=(through(busy, slow.port),), daemon=True)
        occupied.start()
        slow.wait_for(4000)
        result = _sync_or_error(busy, vault)
    assert " 503 " in gateway.log
    assert "OffsiteThrottledError" in result and "slow down" in result
    note = read_last_run(Vault(str(vault)))
    assert note is not None and not note["ok"]


def _send_slowly(settings: OffsiteSettings) -> None:
    try:
        connect(settings, attempts=1).client.put_object(Bucket=settings.bucket, Key="slow", Body=os.urandom(MIB))
    except Exception:  # noqa: BLE001 - the relay is closed under it, whatever boto3 makes of that
        return


def _sync_or_error(settings: OffsiteSettings, vault: Path) -> str:
    try:
        return str(run_sync(settings, vault)["failures"])
    except OffsiteError as error:
        return f"{type(error).__name__} {error}"


def test_http_proxy(settings: OffsiteSettings, project: Path, vault: Path) -> None:
    made = backup(project, vault)
    with ChaosProxy(port_of(settings), is_http_proxy=True) as proxy:
        other = dataclasses.replace(settings, proxy=f"http://127.0.0.1:{proxy.port}", endpoint="https://127.0.0.1:9")
        assert run_sync(other, vault)["uploaded"] == [made.id]
        assert proxy.sent_bytes > 1000
    gone = dataclasses.replace(settings, proxy="http://127.0.0.1:9")
    assert "cora_offsite_proxy" in refused(gone, OffsiteNetworkError)


def test_bucket_as_a_host_name(
    rgw: Rgw, settings: OffsiteSettings, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backup(project, vault)
    resolve_to_loopback(monkeypatch, ".spaces.test")
    virtual = dataclasses.replace(settings, addressing="virtual", endpoint=f"https://spaces.test:{port_of(settings)}")
    before = len(rgw.main.log)
    assert run_sync(virtual, vault)["uploaded"] == [made.id]
    requests = rgw.main.log[before:]
    assert '"PUT /prod/' in requests and f'"PUT /{settings.bucket}/' not in requests


def test_plain_http(rgw: Rgw, settings: OffsiteSettings, project: Path, vault: Path) -> None:
    made = backup(project, vault)
    plain = dataclasses.replace(settings, endpoint=rgw.endpoint, ca_bundle=None)
    assert run_sync(plain, vault)["uploaded"] == [made.id]


def test_local_backup_is_never_touched(settings: OffsiteSettings, project: Path, vault: Path) -> None:
    made = backup(project, vault)
    before = tool("find", made.path, "-printf", "%p %s %T@ %C@ %A@ %m %i\\n")
    run_sync(settings, vault)
    with pytest.raises(OffsiteError):
        run_sync(dataclasses.replace(settings, credentials=Credentials("NOBODY", "x")), vault)
    assert [
        line.split()[0:4] for line in tool("find", made.path, "-printf", "%p %s %T@ %C@ %A@ %m %i\\n").splitlines()
    ] == [line.split()[0:4] for line in before.splitlines()]
    tool("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS.txt", cwd=made.path)


def resolve_to_loopback(monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    """What a name server would do, which a test cannot have."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return resolve("127.0.0.1" if str(name).endswith(suffix.lstrip(".")) else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


# --- the environment file


ENV = "SPACES_ACCESS_KEY=k\nSPACES_SECRET_KEY='s ecret'\nSPACES_ENDPOINT=https://nyc3.digitaloceanspaces.com/\nBACKUP_BUCKET=b\n"


def env_file(path: Path, text: str = ENV, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_environment_file(tmp_path: Path) -> None:
    found = read_offsite_settings(env_file(tmp_path / "env", "# keys\n\nexport " + ENV), prefix="web1", proxy=None)
    assert (found.endpoint, found.region, found.bucket) == ("https://nyc3.digitaloceanspaces.com", "nyc3", "b")
    assert (found.credentials.secret_key, found.prefix, found.style) == ("s ecret", "web1", "virtual")
    assert "s ecret" not in repr(found)


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (ENV, 0o640, "chmod 600"),
        (ENV, 0o604, "chmod 600"),
        (ENV.replace("BACKUP_BUCKET=b", ""), 0o600, "BACKUP_BUCKET not found"),
        (ENV + "s3cret without a name\n", 0o600, "Line 5"),
        (ENV + "SPACES_DELETE_ACCESS_KEY=x\n", 0o600, "only one"),
        (ENV.replace("https://nyc3.digitaloceanspaces.com/", "https://b.example.org/path"), 0o600, "SPACES_ENDPOINT"),
        (ENV.replace("https://", "ftp://"), 0o600, "SPACES_ENDPOINT"),
    ],
)
def test_environment_file_that_is_refused(tmp_path: Path, text: str, mode: int, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_offsite_settings(env_file(tmp_path / "env", text, mode))
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_environment_file_of_somebody_else(tmp_path: Path) -> None:
    path = env_file(tmp_path / "env")
    os.chown(path, 12345, 12345)
    with pytest.raises(SettingsError, match="belongs to user 12345"):
        read_offsite_settings(path)


def test_environment_where_there_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        read_offsite_settings(str(tmp_path / "none"))
    for line in ENV.splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    monkeypatch.setenv("BACKUP_BUCKET", "of-the-environment")
    assert read_offsite_settings(str(tmp_path / "none")).bucket == "of-the-environment"
    assert read_offsite_settings(env_file(tmp_path / "env")).bucket == "b"


def test_other_programs_configuration_does_not_count(
    settings: OffsiteSettings, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "other")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://example.org")
    check_reachable(connect(settings))


def test_regions() -> None:
    assert region_of("https://fra1.digitaloceanspaces.com") == "fra1"
    assert region_of("https://s3.eu-central-1.amazonaws.com") == "eu-central-1"
    assert region_of("https://10.0.0.1:9000") == "us-east-1"
