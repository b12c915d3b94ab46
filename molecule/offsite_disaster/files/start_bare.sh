#!/bin/bash
# start_bare.sh ENGINE: a third machine, with a systemd, Node.js and pm2, and without Python, Git, SQLite and any trace of
# the project. All that comes over from the dead one is what the judge compares with.
set -eu
engine=$1
here=$(cd "$(dirname "$0")/../.." && pwd)
name=cora-molecule-bare
systemd="--systemd=always --pids-limit=0"
[ "$engine" = podman ] || systemd="--cgroupns=private --tmpfs /run --tmpfs /run/lock"
"$engine" rm --force --volumes "$name" > /dev/null 2>&1 || :
# shellcheck disable=SC2086 # a list of words
"$engine" run --detach --name "$name" --hostname bare --add-host bare:127.0.0.1 --privileged --network=host \
    --volume "$here:/molecule:ro" --ulimit nofile=20000:20000 --ulimit nproc=4096:4096 $systemd cora-test:trixie /sbin/init
"$engine" exec "$name" systemctl is-system-running --wait > /dev/null || :
"$engine" exec "$name" /molecule/default/files/mount_disk.sh
"$engine" exec "$name" sh -c 'rm -rf /opt/node-python
    DEBIAN_FRONTEND=noninteractive apt-get purge -qy git sqlite3 "python3*" > /tmp/purge.log 2>&1 || { cat /tmp/purge.log; exit 1; }
    ! command -v python3 && ! command -v git && ! id deploy 2> /dev/null && ! ls -d /srv/*/project /etc/cora 2> /dev/null'
"$engine" exec cora-molecule-bookworm cat /srv/offsite_disaster/judge.tar \
    | "$engine" exec --interactive "$name" sh -c 'mkdir /srv/judge && tar -C /srv/judge --acls --xattrs --numeric-owner -xpf -'
"$engine" exec cora-molecule-bookworm cat /usr/local/share/ca-certificates/cora-test.crt \
    | "$engine" exec --interactive "$name" sh -c 'cat > /usr/local/share/ca-certificates/cora-test.crt && update-ca-certificates > /dev/null'
