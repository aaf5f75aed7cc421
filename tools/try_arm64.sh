#!/usr/bin/env bash
# Tries the package on arm64, on an x86-64 Debian or Ubuntu, under QEMU: makes a Debian for arm64 in
# FOLDER and runs tools/try_python.sh in it.  Root, and half an hour and 2 GB, are needed:
#
#   sudo apt install debootstrap qemu-user-static
#   sudo tools/try_arm64.sh FOLDER [SUITE [REQUIREMENT...]]       tools/try_arm64.sh /var/tmp/arm64 trixie
#
# SUITE is bookworm (Python 3.11, the default) or trixie (3.13).  A FOLDER that is there is used
# again.  docs/platforms.md has the results.
set -euo pipefail
CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly root=${1:?FOLDER is missing} suite=${2:-bookworm}
shift $(($# < 2 ? $# : 2))

fail() {
    printf 'try_arm64: %s\n' "$@" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "needs root, for chroot and mount"
for tool in debootstrap qemu-aarch64-static unshare; do
    command -v "$tool" >/dev/null ||
        fail "missing: $tool" "sudo apt install debootstrap qemu-user-static util-linux"
done

# The kernel starts QEMU for arm64's executables.  F: it opens QEMU now, so the chroot needs none.
readonly formats=/proc/sys/fs/binfmt_misc
[ -e $formats/register ] || mount -t binfmt_misc binfmt_misc $formats
if [ ! -e $formats/qemu-aarch64 ]; then
    printf '%s' ':qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:' \
        "$(command -v qemu-aarch64-static):F" >$formats/register
    trap 'echo -1 >$formats/qemu-aarch64' EXIT
fi

if [ ! -e "$root/made" ]; then
    debootstrap --arch=arm64 --variant=minbase --include=ca-certificates,python3-dev,python3-venv \
        "$suite" "$root" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$root.log" 2>&1 ||
        fail "debootstrap failed, see $root.log and $root/debootstrap/debootstrap.log"
    touch "$root/made"
fi
# The certificates that this machine trusts, for pip where a company's proxy signs anew.
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp -L /etc/resolv.conf "$root/etc/"
rm -rf "$root/source"
tar --exclude=./.?* --exclude=./out --exclude=./runs -cf - . |
    tar -x --no-same-owner --one-top-level="$root/source" -f -

# In name spaces of its own: what is mounted and started there ends with it.
# shellcheck disable=SC2016  # the inner shell expands it
unshare --mount --pid --fork --kill-child bash -euc '
    mount -t proc proc "$1/proc"
    # No /sys: with it, and with the x86 processor that /proc/cpuinfo tells under QEMU 7.2, ONNX
    # Runtime 1.32 crashes when it is imported; without, it only warns.
    mount -t tmpfs tmpfs "$1/dev/shm" 2>/dev/null || true
    root=$1
    shift
    exec env -i HOME=/root LANG=C.UTF-8 TMPDIR=/var/tmp PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        ${http_proxy+http_proxy="$http_proxy"} ${https_proxy+https_proxy="$https_proxy"} \
        ${no_proxy+no_proxy="$no_proxy"} PIP_DEFAULT_TIMEOUT=120 PIP_ONLY_BINARY=:all: \
        chroot "$root" /source/tools/try_python.sh python3 "$@"
' bash "$root" "$@"
