#!/bin/bash
# check_bare.sh PORT: the bare machine holds the project as it was, and runs it; judged by other people's tools.
set -euo pipefail
project=/srv/offsite_disaster/project
judge=/srv/judge
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
# Byte for byte, with owners, modes, times, links, attributes; but for the database, which other bytes may hold as well,
# and for what a person and the settings put there.
touch --reference $judge/project $project # what was put there changed the directory's own time
/molecule/shared/files/same_tree.sh $judge/project $project shop.db shop.db-wal shop.db-shm mended installed AGENTS.md \
    || fail "the trees differ"
[ "$(cat $project/mended)" = mended ] || fail "what was mended by hand is lost"
[ "$(stat -c %U $project/installed)" = deploy ] || fail "the command of the settings did not run as deploy"
sqlite3 $project/shop.db .dump | cmp - $judge/dump.sql || fail "the database differs"

# The history: pushed, not pushed, put away, and the work in the middle.
as_deploy() { runuser --user deploy -- git -C $project "$@"; }
as_deploy rev-parse HEAD v1 'stash@{0}' | cmp - $judge/commits || fail "other commits"
as_deploy status --porcelain | grep -v '^?? \(mended\|installed\)$' | cmp - $judge/status || fail "other work in the middle"
[ "$(as_deploy rev-parse --abbrev-ref 'HEAD@{upstream}')" = origin/main ] || fail "no upstream"
as_deploy fsck --no-dangling || fail "fsck"

# It runs, as deploy, and serves what is here.
served=$(curl --silent --fail "http://127.0.0.1:$1/") || fail "it serves nothing"
[ "$served" = "$(sha256sum < $project/shop.db | cut -d' ' -f1)" ] || fail "it serves something else: $served"
pid=$(runuser --user deploy -- env HOME=/home/deploy pm2 pid shop | tail -n 1)
[ "$(ps -o user= -p "$pid")" = deploy ] || fail "pm2 runs it as somebody else"

# And it is protected from now on.
systemctl --quiet is-enabled cora-save.timer cora-backup.timer || fail "no timers"
lsattr -d /srv/offsite_disaster/vault/2* | grep -q -- '-i-' || fail "the fetched backup is not sealed"
(cd /srv/offsite_disaster/vault/2* && sha256sum --check --quiet SHA256SUMS.txt) || fail "the fetched backup is damaged"
# the services of the timers, in their sandboxes: a new backup, and its copy elsewhere
for job in backup offsite; do
    systemctl start cora-$job.service || { journalctl --no-pager -u cora-$job | tail -n 20 >&2; fail "cora-$job"; }
done
newest=$(find /srv/offsite_disaster/vault -maxdepth 1 -name '2*' -printf '%f\n' | sort | tail -n 1)
[ "$(find /srv/offsite_disaster/vault -maxdepth 1 -name '2*' | wc -l)" = 2 ] || fail "cora-backup made no backup"
grep -q '"result": *"complete"' "/srv/offsite_disaster/vault/.cora/offsite/$newest.json" || fail "$newest is not elsewhere"
[ "$(stat -c %a /etc/cora/backup.env)" = 600 ] || fail "others can read the keys"
[ ! -e /var/lib/cora/disaster-began ] || fail "notes are left"
