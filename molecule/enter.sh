#!/bin/sh
# Runs a command where containers with a systemd can start: molecule/enter.sh COMMAND...
#
# Podman wants one cgroup v2 tree at /sys/fs/cgroup. On a host that has another layout the command gets a private mount
# namespace with such a tree. All calls of a run must share that namespace, or the mounts of one are invisible to the next:
#
#   molecule/enter.sh --pin      keeps a namespace, which later calls enter (for working call by call)
#   molecule/enter.sh --unpin    gives it up
set -eu
pin=/run/cora-test/namespace
prepare='umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup'

is_unified() { [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; }

case ${1:-} in
    '') echo "usage: enter.sh COMMAND... | --pin | --unpin" >&2 && exit 2 ;;
    --pin)
        if is_unified || mountpoint -q "$pin"; then exit 0; fi
        mkdir -p /run/cora-test
        mountpoint -q /run/cora-test || mount --bind /run/cora-test /run/cora-test
        mount --make-private /run/cora-test
        : > "$pin"
        exec unshare --mount="$pin" --propagation private sh -c "$prepare"
        ;;
    --unpin)
        if mountpoint -q "$pin"; then umount "$pin"; fi
        if mountpoint -q /run/cora-test; then umount /run/cora-test; fi
        rm -rf /run/cora-test
        exit 0
        ;;
esac

if is_unified; then
    exec "$@"
elif mountpoint -q "$pin" 2> /dev/null; then
    exec nsenter --mount="$pin" --wd="$PWD" -- "$@"
elif [ "$(id -u)" != 0 ]; then
    echo "enter.sh: /sys/fs/cgroup is not a cgroup v2 tree; only root can give the test its own" >&2
    exit 1
fi
# shellcheck disable=SC2016 # "$@" is for the inner shell
exec unshare --mount --propagation private sh -c "$prepare"' && exec "$@"' enter "$@"
