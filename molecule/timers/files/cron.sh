#!/bin/bash
# Runs the lines as cron does: its variables, no others, and sh.
set -euo pipefail
fail() {
  echo "FAILED: $*" >&2
  exit 1
}
log=/var/log/cora-backup.log
[ "$(grep -c ' root ' /etc/cron.d/cora)" = 4 ] || fail "jobs"
systemctl stop 'cora-*.timer'
: > "$log"
mapfile -t variables < <(grep -E '^[A-Z_]+=' /etc/cron.d/cora)
run() {
  local line
  line=$(sed -n "s/.* root \\(.* cora $1.*\\)/\\1/p" /etc/cron.d/cora)
  env -i HOME=/root LOGNAME=root "${variables[@]}" /bin/sh -c "$line"
}
echo 'and more' >> '/srv/timers/pro ject/shared/file'
for job in save 'backup now' prune verify; do
  run "$job" || fail "$job: $(cat "$log")"
  grep -q "cora $job\\( [a-z]*\\)*\\[" "$log" || fail "$job left nothing in the log"
done
! grep -q 'cora notify' "$log" || fail "a job failed: $(cat "$log")"
rm -rf /etc/systemd/system/cora-save.timer.d
