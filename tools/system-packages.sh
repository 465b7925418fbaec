#!/bin/sh
# The system's tools that attaching, the tests and the demonstration use. Installed where we may (root and apt);
# otherwise what is missing is named, and whatever needs it is skipped aloud.
set -u
missing=""
need() {  # need PROGRAM PACKAGE
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need qemu-storage-daemon qemu-system-common
need qemu-img qemu-utils
need nbdkit nbdkit
need nbdinfo libnbd-bin
need fio fio
need fuse2fs fuse2fs
need fusermount3 fuse3
need mkfs.ext4 e2fsprogs
need mkfs.xfs xfsprogs
need wipefs util-linux
need setpriv util-linux
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
    echo "some of these could not be installed:$missing; what needs them is skipped" >&2
else
    echo "not installed, as that needs root and apt:$missing; what needs them is skipped" >&2
fi
exit 0
