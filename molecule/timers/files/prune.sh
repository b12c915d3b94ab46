#!/bin/bash
# What no rule keeps goes without anybody's help, though nobody verified what takes its place: the service does that itself.
set -euo pipefail
vault=/srv/timers/vault
fail() {
  echo "FAILED: $*" >&2
  tail -n 20 /var/log/cora-backup.log >&2
  exit 1
}
backups() { find "$vault" -maxdepth 1 -name '2*' | wc -l; }
[ "$(backups)" -ge 3 ] || fail "there is nothing to prune"
newest=$(find "$vault" -maxdepth 1 -name '2*' | sort | tail -n 1)
[ ! -e "$vault/.cora/verified/${newest##*/}.json" ] || fail "the newest one is verified already, so this proves nothing"

cp /etc/cora/settings.yml /srv/timers/settings.yml
printf 'cora_keep_%s\n' 'last: 1' 'daily: 1' 'weekly: 0' 'monthly: 0' 'yearly: 0' 'within_days: 0' \
  'checkpoints_hours: 0' 'checkpoints_hourly_days: 0' 'checkpoints_daily_days: 0' >> /etc/cora/settings.yml
systemctl start cora-prune.service || fail "the service"
cp /srv/timers/settings.yml /etc/cora/settings.yml

[ "$(backups)" = 1 ] || fail "$(backups) backups are left"
[ -d "$newest" ] || fail "the newest one went"
grep -q '"ok": *true' "$vault/.cora/verified/${newest##*/}.json" || fail "the newest one was not verified"
lsattr -d "$vault" | cut -d' ' -f1 | grep -q a || fail "the vault is not append-only any more"
grep -q 'cora prune.*Removed' /var/log/cora-backup.log || fail "nothing in the log"
