#!/bin/bash
# A vault that cannot be used: the service fails, and somebody is told.
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
chattr -a "$vault"
chmod 0777 "$vault"
! systemctl start cora-save.service 2> /dev/null || fail "a vault that everybody can write to was used"
told=/var/log/cora-told-cora-save.service
for _ in $(seq 60); do
  grep -qs 'can be written by others' "$told" && break
  sleep 0.5
done
grep -q 'can be written by others' "$told" || fail "the notify command was not told why: $(cat "$told")"
grep -q 'cora notify: cora-save.service failed' /var/log/cora-backup.log || fail "the log does not say it"
# grep -q in a pipe would break it off
grep -q 'cora-save.service failed' <<< "$(journalctl --priority=err --output=cat -u 'cora-notify@*')" || fail "the journal"

# What failed runs leave is bounded, and holds no variables.
for _ in $(seq 12); do
  mkdir -p "/var/lib/cora/runner/save/20200101-$RANDOM-old"
done
! systemctl start cora-save.service 2> /dev/null || fail "again"
(($(find /var/lib/cora/runner/save -mindepth 1 -maxdepth 1 | wc -l) <= 11)) || fail "runs pile up"
[ -z "$(find /var/lib/cora/runner -name env -o -name command)" ] || fail "variables stay"

chmod 0700 "$vault"
systemctl start cora-save.service || fail "it does not recover"
