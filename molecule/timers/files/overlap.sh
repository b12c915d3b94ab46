#!/bin/bash
# While another run holds the vault: a save says so and ends well, a backup waits.
set -euo pipefail
vault=/srv/timers/vault
fail() {
  echo "FAILED: $*" >&2
  tail -n 20 /var/log/cora-backup.log >&2
  exit 1
}
systemctl stop cora-save.timer
while [ "$(systemctl show -P ActiveState cora-save.service)" = activating ]; do
  sleep 0.2
done
# Whether a process of UNIT has the lock open: it holds it, or tries to.
is_at_lock() {
  for pid in $(fuser "$vault/.cora/lock" 2> /dev/null); do
    ! grep -q "$1" "/proc/$pid/cgroup" || return 0
  done
  return 1
}
state() { systemctl show -P ActiveState cora-backup.service; }

rm -f /srv/timers/release
flock "$vault/.cora/lock" sh -c 'until [ -e /srv/timers/release ]; do sleep 0.2; done' &
while flock --nonblock "$vault/.cora/lock" true; do sleep 0.1; done
backups=$(find "$vault" -maxdepth 1 -name '2*' | wc -l)

echo more >> '/srv/timers/pro ject/shared/file'
systemctl start cora-save.service || fail "a save that finds the vault held is no failure"
tail -n 3 /var/log/cora-backup.log | grep -q 'no failure: Another run holds the vault' || fail "it does not say why"

systemctl start --no-block cora-backup.service
until is_at_lock cora-backup.service; do
  [ "$(state)" = activating ] || fail "the backup ended before it came to the lock"
  sleep 0.1
done
# It tries some times a second.
sleep 2
[ "$(state)" = activating ] || fail "the backup does not wait"
is_at_lock cora-backup.service || fail "the backup left the lock"
touch /srv/timers/release
wait
while [ "$(state)" = activating ]; do sleep 0.2; done
[ "$(systemctl show -P Result cora-backup.service)" = success ] || fail "the backup that waited"
[ "$(find "$vault" -maxdepth 1 -name '2*' | wc -l)" = $((backups + 1)) ] || fail "the backup that waited made none"
