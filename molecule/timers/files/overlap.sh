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
  sleep 1
done
rm -f /srv/timers/release
flock "$vault/.cora/lock" sh -c 'until [ -e /srv/timers/release ]; do sleep 0.2; done' &
sleep 1
backups=$(find "$vault" -maxdepth 1 -name '2*' | wc -l)

echo more >> '/srv/timers/pro ject/shared/file'
systemctl start cora-save.service || fail "a save that finds the vault held is no failure"
tail -n 3 /var/log/cora-backup.log | grep -q 'no failure: Another run holds the vault' || fail "it does not say why"

systemctl start --no-block cora-backup.service
sleep 8
[ "$(systemctl show -P ActiveState cora-backup.service)" = activating ] || fail "the backup does not wait"
touch /srv/timers/release
wait
for _ in $(seq 60); do
  [ "$(systemctl show -P ActiveState cora-backup.service)" != activating ] && break
  sleep 1
done
[ "$(systemctl show -P Result cora-backup.service)" = success ] || fail "the backup that waited"
[ "$(find "$vault" -maxdepth 1 -name '2*' | wc -l)" = $((backups + 1)) ] || fail "the backup that waited made none"
