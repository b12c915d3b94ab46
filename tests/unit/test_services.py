# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""services: what is run, in which order, and what is left alone.

Commands are real. systemctl and pm2 are stand-ins here that keep a state file and answer in the words of the real ones;
the container tests run the real ones.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils import pm2, programs
from ansible_collections.cora.backup.plugins.module_utils.errors import ServiceError
from ansible_collections.cora.backup.plugins.module_utils.service_account import Account
from ansible_collections.cora.backup.plugins.module_utils.services import ServiceControl
from ansible_collections.cora.backup.plugins.module_utils.settings import Service

SYSTEMCTL = """#!/bin/sh
# One file a unit holds its ActiveState.
verb=$1; shift
for unit; do :; done
echo "systemctl $verb $unit" >> "$FAKES/log"
file=$FAKES/unit-$unit
case $verb in
show)
    if [ ! -e "$file" ]; then echo LoadState=not-found; echo ActiveState=inactive; exit 0; fi
    echo LoadState=loaded; echo "ActiveState=$(cat "$file")"; echo Type=simple ;;
stop) [ -e "$FAKES/stubborn-$unit" ] || echo inactive > "$file" ;;
start|restart)
    if [ -e "$FAKES/failing-$unit" ]; then
        echo failed > "$file"
        echo "Job for $unit failed because the control process exited with error code." >&2
        exit 1
    fi
    echo active > "$file" ;;
esac
"""

PM2 = """#!/bin/sh
# The file "processes" holds the answer of jlist.
while [ "${1#--}" != "$1" ]; do shift; done
echo "pm2 $1 $2 HOME=$HOME PM2_HOME=$PM2_HOME uid=$(id -u)" >> "$FAKES/log"
case $1 in
jlist)
    echo ">>>> In-memory PM2 is out-of-date, do:"
    echo ">>>> \\$ pm2 update"
    cat "$FAKES/processes"; echo ;;
stop) sed -i "s/online/stopped/g" "$FAKES/processes" ;;
restart)
    if [ -e "$FAKES/crashes" ]; then sed -i "s/stopped/errored/g" "$FAKES/processes"
    else sed -i "s/stopped/online/g" "$FAKES/processes"; fi ;;
esac
"""


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of stand-ins that comes first; its C(log) has what was called."""
    path = f"{tmp_path}:{programs.SYSTEM_PATH}"
    for name, script in (("systemctl", SYSTEMCTL), ("pm2", PM2)):
        (tmp_path / name).write_text(script.replace("$FAKES", str(tmp_path)))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(programs, "SYSTEM_PATH", path)
    monkeypatch.setattr(pm2, "SYSTEM_PATH", path)
    monkeypatch.setenv("PATH", path)
    (tmp_path / "log").touch()
    return tmp_path


def calls(fakes: Path, *verbs: str) -> list[str]:
    lines = (fakes / "log").read_text().splitlines()
    return [" ".join(line.split()[:3]) for line in lines if line.split()[1] in verbs]


def say(tmp_path: Path, word: str) -> tuple[str, ...]:
    return ("sh", "-c", f"echo {word} >> {tmp_path}/said")


def said(tmp_path: Path) -> list[str]:
    return (tmp_path / "said").read_text().split()


def test_commands_stop_in_order_and_start_in_reverse(tmp_path: Path) -> None:
    given = [
        Service(kind="command", name=name, stop=say(tmp_path, f"stop-{name}"), start=say(tmp_path, f"start-{name}"))
        for name in ("web", "worker", "database")
    ]
    control = ServiceControl(given)
    assert control.stop_all() == [f"command {name}: stopped" for name in ("web", "worker", "database")]
    assert control.stopped == tuple(given)
    assert control.start_all() == [f"command {name}: started" for name in ("database", "worker", "web")]
    assert said(tmp_path) == [
        *("stop-web", "stop-worker", "stop-database"),
        *("start-database", "start-worker", "start-web"),
    ]
    assert control.start_all() == []


def test_one_that_does_not_stop_brings_back_the_others(tmp_path: Path) -> None:
    control = ServiceControl(
        [
            Service(kind="command", name="web", stop=say(tmp_path, "stop"), start=say(tmp_path, "start")),
            Service(
                kind="command", name="bad", stop=("sh", "-c", "echo no way >&2; exit 4"), start=say(tmp_path, "never")
            ),
        ]
    )
    with pytest.raises(ServiceError, match=r"command bad could not be stopped.*exit status 4: no way"):
        control.stop_all()
    assert said(tmp_path) == ["stop", "start"]
    assert control.stopped == ()


def test_every_start_is_tried(tmp_path: Path) -> None:
    control = ServiceControl(
        [
            Service(kind="command", name="web", stop=("true",), start=say(tmp_path, "web")),
            Service(kind="command", name="bad", stop=("true",), start=("sh", "-c", "echo broken config; exit 1")),
        ]
    )
    control.stop_all()
    with pytest.raises(ServiceError, match=r"Start it by hand: command bad.*broken config"):
        control.start_all()
    assert said(tmp_path) == ["web"]


def test_a_restore_that_takes_itself_back_stops_and_starts_once_more(tmp_path: Path) -> None:
    """Stop, fail to start on the restored files, stop, take back, start: each command runs as often as it has to."""
    good = tmp_path / "files-are-good"
    start = ("sh", "-c", f"echo start-bad >> {tmp_path}/said; test -e {good}")
    control = ServiceControl(
        [
            # Its stop fails when it does not run.
            Service(kind="command", name="bad", stop=("sh", "-c", f"! test -e {tmp_path}/said"), start=start),
            Service(kind="command", name="web", stop=say(tmp_path, "stop-web"), start=say(tmp_path, "start-web")),
        ]
    )
    control.stop_all()
    assert control.stop_all() == ["command bad: is stopped already", "command web: is stopped already"]
    with pytest.raises(ServiceError):
        control.start_all()
    assert [service.name for service in control.stopped] == ["bad"]
    control.stop_all()
    good.touch()
    assert control.start_all() == ["command web: started", "command bad: started"]
    assert said(tmp_path) == ["stop-web", "start-web", "start-bad", "stop-web", "start-web", "start-bad"]
    assert control.stopped == ()


def test_a_unit_that_failed_to_start_is_still_owed_a_start(fakes: Path) -> None:
    (fakes / "unit-web.service").write_text("active")
    control = ServiceControl([Service(kind="systemd", name="web.service")])
    control.stop_all()
    (fakes / "failing-web.service").touch()
    with pytest.raises(ServiceError):
        control.start_all()
    assert control.stop_all() == ["systemd web.service: is stopped already"]
    (fakes / "failing-web.service").unlink()
    assert control.start_all() == ["systemd web.service: started"]


def test_a_program_that_is_missing_is_a_service_error(tmp_path: Path) -> None:
    control = ServiceControl([Service(kind="command", name="x", stop=("no-such-program-here",), start=("true",))])
    with pytest.raises(ServiceError, match="no-such-program-here was not found"):
        control.stop_all()


def test_a_start_command_may_leave_a_daemon(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    start = ("sh", "-c", f"(while :; do echo alive; sleep 0.05; done) & echo $! > {pid_file}")
    control = ServiceControl([Service(kind="command", name="daemon", stop=("true",), start=start)])
    control.stop_all()
    control.start_all()
    pid = int(pid_file.read_text())
    time.sleep(0.3)
    os.kill(pid, 0)  # it writes to its output and lives
    os.killpg(os.getpgid(pid), signal.SIGKILL)


def test_only_units_that_ran_are_stopped_and_started(fakes: Path) -> None:
    (fakes / "unit-web.service").write_text("active")
    (fakes / "unit-resting.service").write_text("inactive")
    control = ServiceControl(
        [Service(kind="systemd", name="web.service"), Service(kind="systemd", name="resting.service")]
    )
    assert control.stop_all() == [
        "systemd web.service: stopped",
        "systemd resting.service: was not running, and stays so",
    ]
    assert (fakes / "unit-web.service").read_text().strip() == "inactive"
    assert control.start_all() == ["systemd web.service: started"]
    assert calls(fakes, "stop", "start", "restart") == ["systemctl stop web.service", "systemctl start web.service"]


def test_a_unit_that_woke_up_meanwhile_is_restarted(fakes: Path) -> None:
    (fakes / "unit-web.service").write_text("active")
    control = ServiceControl([Service(kind="systemd", name="web.service")])
    control.stop_all()
    (fakes / "unit-web.service").write_text("active")
    control.start_all()
    assert calls(fakes, "start", "restart") == ["systemctl restart web.service"]


def test_unknown_stubborn_and_failing_units(fakes: Path) -> None:
    with pytest.raises(ServiceError, match="not-found"):
        ServiceControl([Service(kind="systemd", name="wrong.service")]).stop_all()
    (fakes / "unit-web.service").write_text("active")
    (fakes / "stubborn-web.service").touch()
    with pytest.raises(ServiceError, match="a socket, path or timer unit"):
        ServiceControl([Service(kind="systemd", name="web.service")]).stop_all()
    (fakes / "stubborn-web.service").unlink()
    control = ServiceControl([Service(kind="systemd", name="web.service")])
    control.stop_all()
    (fakes / "failing-web.service").touch()
    with pytest.raises(ServiceError, match=r"Start it by hand: systemd web.service.*control process exited"):
        control.start_all()


@pytest.fixture
def daemon(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home directory with the traces of a running pm2 daemon, and two processes called api, one called other."""
    home = fakes / "home"
    (home / ".pm2").mkdir(parents=True)
    listed = [
        {"pid": 1, "name": name, "pm_id": number, "pm2_env": {"status": "online", "name": name}}
        for number, name in enumerate(("api", "api", "other"))
    ]
    (fakes / "processes").write_text(json.dumps(listed))
    account = Account.named(None)
    mine = Account(account.name, account.uid, account.gid, str(home), account.groups)
    monkeypatch.setattr(Account, "named", classmethod(lambda cls, user: mine))
    with subprocess.Popen(["sleep", "600"]) as running:
        (home / ".pm2" / "pm2.pid").write_text(str(running.pid))
        yield home
        running.kill()


def test_pm2_is_asked_as_its_user_and_only_when_its_daemon_runs(fakes: Path, daemon: Path) -> None:
    control = ServiceControl([Service(kind="pm2", name="api")])
    assert control.stop_all() == ["pm2 api: stopped"]
    assert "online" not in (fakes / "processes").read_text()
    assert control.start_all() == ["pm2 api: started"]
    assert calls(fakes, "stop", "restart") == ["pm2 stop api", "pm2 restart api"]
    assert f"HOME={daemon} PM2_HOME={daemon}/.pm2 uid={os.geteuid()}" in (fakes / "log").read_text()

    (fakes / "log").write_text("")
    (daemon / ".pm2" / "pm2.pid").unlink()
    assert ServiceControl([Service(kind="pm2", name="api")]).stop_all() == ["pm2 api: was not running, and stays so"]
    assert (fakes / "log").read_text() == ""


def test_a_pm2_process_that_was_stopped_stays_stopped(fakes: Path, daemon: Path) -> None:
    (fakes / "processes").write_text((fakes / "processes").read_text().replace("online", "stopped"))
    control = ServiceControl([Service(kind="pm2", name="api")])
    control.stop_all()
    assert control.start_all() == []
    assert calls(fakes, "stop", "restart") == []


def test_unknown_and_crashing_pm2_processes(fakes: Path, daemon: Path) -> None:
    with pytest.raises(ServiceError, match="no process wrong; the ones it has: api, other"):
        ServiceControl([Service(kind="pm2", name="wrong")]).stop_all()
    control = ServiceControl([Service(kind="pm2", name="api")])
    control.stop_all()
    (fakes / "crashes").touch()
    with pytest.raises(ServiceError, match=r"errored.*pm2 logs api"):
        control.start_all()


def test_an_account_that_does_not_exist() -> None:
    service = Service(kind="command", name="x", user="no-such-user", stop=("true",), start=("true",))
    with pytest.raises(ServiceError, match="no account no-such-user"):
        ServiceControl([service]).stop_all()


def test_commands_run_as_the_user_given(tmp_path: Path) -> None:
    name = "nobody" if os.geteuid() == 0 else Account.named(None).name
    tmp_path.chmod(0o777)
    show = ("sh", "-c", 'test "$(id -un)" = ' + name + ' && test "$(pwd)" = / && test "$USER" = ' + name)
    control = ServiceControl([Service(kind="command", name="x", user=name, stop=show, start=show)])
    assert control.stop_all() == [f"command x of {name}: stopped"]
    control.start_all()


def test_health_is_asked_until_it_is_good(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    command = ("sh", "-c", f"echo x >> {counter}; test $(wc -l < {counter}) -ge 3")
    ServiceControl([], command, 60).check_health()
    assert counter.read_text() == "x\n" * 3
    ServiceControl([]).check_health()


def test_bad_health_says_what_the_command_said_last() -> None:
    command = ("sh", "-c", "echo 'HTTP 502 from https://me:hunter2@localhost/'; exit 1")
    with pytest.raises(ServiceError, match=r"not healthy after 0\.2 s.*HTTP 502 from https://localhost") as caught:
        ServiceControl([], command, 0.2).check_health()
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ServiceError, match="no-such-check was not found"):
        ServiceControl([], ("no-such-check",), 0.1).check_health()
