#!/bin/bash
# What `cora status` says on a host that has run by itself for a while, and when something is wrong there.
set -euo pipefail
project='/srv/timers/pro ject' vault=/srv/timers/vault
fail() {
  echo "FAILED: $*" >&2
  echo "$said" >&2
  exit 1
}
# The timer that saves runs every 15 seconds, and would be running at every other look.
systemctl stop cora-save.timer
while [ "$(systemctl show -P ActiveState cora-save.service)" = activating ]; do sleep 0.2; done
systemctl start cora-save.timer
look() { said=$(cora status 2>&1); }
says() { grep -Eq -- "$1" <<< "$said" || fail "it does not say: $1"; }
as_json() { cora status --json | python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"; }

cd /
look || fail "all is well, and it ends with $?"
echo "$said"
says '^All is well\.$'
says '^vault .*: [0-9]+ backups, [0-9]+ checkpoint'
says '^backup +[0-9]{8}-[0-9]{6}-[0-9a-f]+, .* sealed, verified'
says '^checkpoint +[0-9]{8}-[0-9]{6}-[0-9a-f]+, .* sealed'
says '^disk .* free of '
says '^offsite'
for job in save backup verify prune; do
  says "^timer +cora-$job.timer: (last .*, success, next in |not run yet, next in |runs now)"
done
says '^critical +WORK_LOG.md +[0-9]+ B'
[ "$(as_json 'd["ok"], d["newest_backup"]["verified_ok"], len(d["timers"])')" = "True True 4" ] || fail json

# Something is wrong: it is named, the last of all, and the exit code tells.
wrong() { # TEXT
  if look; then fail "it ends with 0"; fi
  says "$1"
}
mv "$project/WORK_LOG.md" /srv/timers/away
wrong '^CRITICAL: Critical files .* are gone from the project: WORK_LOG.md'
mv /srv/timers/away "$project/WORK_LOG.md"
systemctl stop cora-backup.timer
wrong '^WARNING: cora-backup.timer: it is inactive, not active'
systemctl start cora-backup.timer
chattr -i "$vault"/2*
wrong '^WARNING: .* not sealed'
chattr +i "$vault"/2*
look || fail "all is well again, and it ends with $?"
