#!/bin/sh
# packages.sh keep|give: keeps the Python packages that an installation of cora brought to this node; gives them to the next
# scenario, whose installation then finds them in place. Two scenarios prove that it can do without: install_uninstall,
# and offsite_disaster on its bare machine.
set -eu
kept=/var/lib/cora-test-packages
case $1 in
    keep)
        rm -rf "$kept"
        mkdir "$kept"
        cp -al /opt/cora/venv /opt/cora/venv.d "$kept"
        ;;
    give)
        if [ -d "$kept" ]; then
            rm -rf /opt/cora
            mkdir -m 0755 /opt/cora
            cp -al "$kept/." /opt/cora
        fi
        ;;
esac
