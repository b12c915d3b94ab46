#!/bin/sh
# Turns a Debian root, whose packages are in place, into a test node. Runs inside that root (chroot or image build).
set -eu
here=$(dirname "$0")
npm_version=10.9.9
pm2_version=6.0.14

# A container has no hardware to set up, and apt's timers would take its locks in the middle of a test.
for unit in \
    systemd-modules-load.service systemd-sysctl.service systemd-udevd.service systemd-udev-trigger.service \
    systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-logind.service getty.target console-getty.service \
    apt-daily.timer apt-daily-upgrade.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service xfs_scrub_all.timer; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
: > /etc/machine-id

cp "$here"/ca/*.crt /usr/local/share/ca-certificates/ 2> /dev/null || :
update-ca-certificates > /dev/null
bundle=/etc/ssl/certs/ca-certificates.crt

python3 -m venv /opt/node-python
PIP_CERT=$bundle /opt/node-python/bin/pip --disable-pip-version-check install -q --no-cache-dir -r "$here/requirements.txt"

# npm from its registry: Debian's package would bring four hundred others.
export NODE_EXTRA_CA_CERTS=$bundle
registry=${npm_config_registry:-https://registry.npmjs.org}
mkdir -p /opt/npm
curl -fsS --retry 3 "${registry%/}/npm/-/npm-$npm_version.tgz" | tar -xz -C /opt/npm --strip-components=1
node /opt/npm/bin/npm-cli.js install --global --prefix /usr/local --no-audit --no-fund --loglevel=error \
    --omit=dev --omit=optional "pm2@$pm2_version"
rm -rf /root/.npm /var/lib/apt/lists/* /var/cache/apt/*.bin
