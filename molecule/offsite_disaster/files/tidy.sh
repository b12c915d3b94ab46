#!/bin/sh
# What this scenario installed, and the authority it trusted, go; the next scenarios find the node as it was.
set -eu
systemctl stop git-daemon-test 'cora-*.timer' 'cora-*.service' 2> /dev/null || :
rm -f /etc/systemd/system/cora-* /etc/systemd/system/timers.target.wants/cora-* /usr/local/bin/cora
rm -rf /opt/cora /etc/cora /var/lib/cora /root/.config/rclone /usr/local/share/ca-certificates/cora-test.crt
systemctl daemon-reload
update-ca-certificates > /dev/null
chattr -R -f -ia /srv/offsite_disaster || :
rm -rf /srv/offsite_disaster
