#!/bin/sh
# Builds the images of the test nodes: cora-test:bookworm and cora-test:trixie. An image that was made by the same
# recipe is kept, so a second call costs a moment. No registry is asked: mmdebstrap reads Debian's archive.
#
#   molecule/image/build.sh [SUITE...]
#
# CORA_TEST_ENGINE         podman (default) or docker
# CORA_TEST_BASE_BOOKWORM  an image to start from instead (CORA_TEST_BASE_TRIXIE likewise), e.g. docker.io/library/debian:12
# CORA_TEST_MIRROR         Debian mirror for mmdebstrap
set -eu
here=$(cd "$(dirname "$0")" && pwd)
engine=${CORA_TEST_ENGINE:-podman}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# The build context: the recipe, and the certificates this host trusts beyond Debian's (a proxy's, as a rule).
context=$work/context
mkdir -p "$context/ca"
cp "$here/provision.sh" "$here/packages.txt" "$here/requirements.txt" "$here/Containerfile" "$context/"
cp /usr/local/share/ca-certificates/*.crt "$context/ca/" 2> /dev/null || :

build() { # SUITE BASE RECIPE
    if [ -n "$2" ]; then
        # Podman's build would raise limits that not every host lets it raise; in a chroot it does not try.
        isolation=""
        [ "$engine" != podman ] || isolation=--isolation=chroot
        "$engine" build -q --network=host $isolation --build-arg "BASE=$2" --label "cora.recipe=$3" -t "cora-test:$1" \
            -f "$context/Containerfile" "$context" > /dev/null
        return
    fi
    # shellcheck disable=SC2016 # $1 is for mmdebstrap's shell
    mmdebstrap --quiet --variant=minbase --include="$(paste -sd, "$here/packages.txt")" \
        --customize-hook="mkdir -p \"\$1/tmp/image\" && cp -r '$context/.' \"\$1/tmp/image/\"" \
        --customize-hook='env -i PATH="$PATH" HOME=/root HTTPS_PROXY="${HTTPS_PROXY:-}" PIP_INDEX_URL="${PIP_INDEX_URL:-https://pypi.org/simple}" npm_config_registry="${npm_config_registry:-https://registry.npmjs.org}" chroot "$1" sh /tmp/image/provision.sh' \
        --customize-hook='rm -rf "$1/tmp/image"' \
        "$1" "$work/$1.tar" ${CORA_TEST_MIRROR:+"$CORA_TEST_MIRROR"}
    "$engine" import --change 'CMD ["/sbin/init"]' --change "LABEL cora.recipe=$3" "$work/$1.tar" "cora-test:$1" > /dev/null
    rm -f "$work/$1.tar"
}

ensure() { # SUITE
    base=$(printenv "CORA_TEST_BASE_$(echo "$1" | tr '[:lower:]' '[:upper:]')" || :)
    recipe=$( (echo "$base"; cd "$context" && find . -type f | sort | xargs sha256sum) | sha256sum | cut -c1-16)
    present=$("$engine" image inspect --format '{{ index .Config.Labels "cora.recipe" }}' "cora-test:$1" 2> /dev/null || :)
    if [ "$present" = "$recipe" ]; then
        echo "image cora-test:$1: present"
        return
    fi
    began=$(date +%s)
    if ! build "$1" "$base" "$recipe" > "$work/$1.log" 2>&1; then
        echo "image cora-test:$1: failed" >&2
        sed 's/^/  /' "$work/$1.log" >&2
        return 1
    fi
    # The image that lost its name to this one.
    "$engine" image prune --force --filter label=cora.recipe > /dev/null
    echo "image cora-test:$1: built ($(($(date +%s) - began)) s)"
}

[ $# -gt 0 ] || set -- bookworm trixie
jobs=""
for suite in "$@"; do
    ensure "$suite" &
    jobs="$jobs $!"
done
failed=0
for job in $jobs; do
    wait "$job" || failed=1
done
exit "$failed"
