#!/bin/bash
# systemd understands every word of the units, starts them when it should, and lets them do little.
set -euo pipefail
fail() {
  echo "FAILED: $*" >&2
  exit 1
}
cd /etc/systemd/system
for unit in cora-{save,backup,prune,verify}.{service,timer}; do
  said=$(systemd-analyze verify --man=no "$unit" 2>&1)
  ! grep -F cora- <<< "$said" || fail "$unit: $said"
done
for job in save backup prune verify; do
  systemctl is-enabled --quiet "cora-$job.timer" || fail "$job: the timer is not enabled"
  systemctl is-active --quiet "cora-$job.timer" || fail "$job: the timer does not run"
  [ "$(systemctl show -P Persistent "cora-$job.timer")" = yes ] || fail "$job: not persistent"
  [ "$(systemctl show -P IOSchedulingClass "cora-$job.service")" = 3 ] || fail "$job: not idle"
  [ "$(systemctl show -P Nice "cora-$job.service")" = 19 ] || fail "$job: not nice"
done
systemctl show -P TimersCalendar cora-backup.timer | grep -q '03:15:00' || fail "time of the backup"
for unit in cora-{save,backup,prune,verify}.service cora-notify@cora-save.service.service; do
  line=$(systemd-analyze security --no-pager "$unit" | tail -n 1)
  echo "$line"
  awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^[0-9.]+$/) exit !($i <= 3.0); exit 1 }' <<< "$line" || fail "$line"
done
