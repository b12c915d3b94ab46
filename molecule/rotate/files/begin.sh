#!/bin/bash
# Starts two services that write numbered lines without end: to app.log, and to AI_WORK_LOG.md, which is append-only.
set -eu
systemctl stop 'rotate-writer-*' 2> /dev/null || :
if [ -d /srv/rotate ]; then chattr -R -f -ia /srv/rotate || :; fi
rm -rf /srv/rotate
mkdir -p /srv/rotate/project/logs
cd /srv/rotate/project
echo 'small' > small.log
: > AI_WORK_LOG.md
chattr +a AI_WORK_LOG.md
for log in logs/app.log AI_WORK_LOG.md; do
    systemd-run --quiet --collect --unit="rotate-writer-$(basename "$log" | tr -dc 'a-zA-Z')" \
        /molecule/rotate/files/writer.py "$PWD/$log"
done
for log in logs/app.log AI_WORK_LOG.md; do
    for _ in $(seq 100); do
        [ "$(stat -c %s "$log")" -gt 1500000 ] && break
        sleep 0.1
    done
done
stat -c '%n %i' logs/app.log AI_WORK_LOG.md > /srv/rotate/inodes
