#!/bin/sh
# Second half of an image (../../Dockerfile): what the environment needs beside it, and whose it runs as.
# usage: runtime.sh [PACKAGE...]; Debian's packages have no versions here: Debian keeps one at a time.
set -eu

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends libportaudio2 tini "$@" >/dev/null
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log
useradd --uid 10001 --user-group --home-dir /var/lib/seacanary --create-home --skel /nonexistent --shell /usr/sbin/nologin seacanary
chmod 700 /var/lib/seacanary
mkdir -p /etc/seacanary
# Nobody becomes somebody else in here.
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
# Nothing but temporary folders and its own may be written by any but root, and nothing belongs to another.
find / -xdev ! -type l ! -path /tmp ! -path /var/tmp \( -perm -0002 -o -perm -0020 ! -gid 0 \) -exec chmod go-w {} +
find / -xdev ! -uid 0 ! -path /var/lib/seacanary -exec chown -h root:root {} +
