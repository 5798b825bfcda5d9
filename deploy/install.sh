#!/usr/bin/env bash
# Install, upgrade or remove Sea Canary on Debian 12 or Raspberry Pi OS (64 bit); docs/bare-metal.md tells of it.
#
#   install.sh install [--from WHEEL|REQUIREMENT] [--extras LIST] [--no-start]
#   install.sh remove [--purge]
#
# install: also upgrades; to repeat it changes nothing but the program. The new program is made beside the old one, has
#   to accept the configurations that are there, and only then takes its place; else the old one is left running.
#   --from: a wheel file, or what pip is to install; default: seacanary, from the package index.
#   --extras: default cpu,alsa; add cluster for an edge or a worker, gpu in place of cpu for an NVIDIA card.
#   --no-start: restart nothing; the new program runs from the next start on.
# remove: configuration (/etc/seacanary) and state (/var/lib/seacanary) stay; with --purge they go, and so do the user and
#   what `systemctl edit` wrote for its units.
#
# pip and apt are used as this machine has them set up. Exit codes: 0 done, 1 it could not be done, 2 wrong usage.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly program=/opt/seacanary releases=/opt/seacanary-releases command=/usr/local/bin/seacanary
readonly station=/usr/local/sbin/seacanary-station
readonly configuration=/etc/seacanary state=/var/lib/seacanary cache=/var/cache/seacanary
readonly units=/usr/local/lib/systemd/system docs=/usr/local/share/doc/seacanary
readonly sysusers=/usr/local/lib/sysusers.d/seacanary.conf tmpfiles=/usr/local/lib/tmpfiles.d/seacanary.conf
readonly services=(seacanary.service seacanary@edge.service seacanary@worker.service)
readonly unit_files=(seacanary.service seacanary@.service seacanary-backup.service seacanary-backup.timer)
made="" # the new program, until it is in its place

say() { echo "install.sh: $*"; }
fail() {
  echo "install.sh: $*" >&2
  exit 1
}
usage() {
  sed -n '4,5p' "${BASH_SOURCE[0]}" | sed 's/^# */usage: /' >&2
  exit 2
}

check_machine() {
  [ "$(id -u)" -eq 0 ] || fail "it changes the system: run it as root (sudo $0 ...)"
  local ID="" VERSION_ID=""
  # shellcheck source=/dev/null
  . /etc/os-release
  case $ID in
    debian | raspbian) [ "${VERSION_ID:-99}" -ge 12 ] || fail "Debian $VERSION_ID has no Python 3.11: it needs Debian 12 or later" ;;
    *) fail "this is ${ID:-an unknown system}; it knows Debian 12 and Raspberry Pi OS. Elsewhere: pip install 'seacanary[cpu]'" ;;
  esac
  case $(dpkg --print-architecture) in
    amd64 | arm64) ;;
    *) fail "ONNX Runtime is not made for $(dpkg --print-architecture): install the 64-bit system" ;;
  esac
}

# Another one of these would take this one's unfinished program for an old one.
alone() {
  mkdir -p "$releases"
  exec 9<"$releases"
  flock --nonblock 9 || fail "another install.sh is at work"
}

install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing Debian's ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; } ||
    fail "apt-get could not install ${missing[*]}"
}

needed_packages() {
  echo python3 python3-venv libportaudio2 dbus systemd util-linux
  # pyalsaaudio has no wheel.
  case ,$1, in *,alsa,*) echo gcc libasound2-dev libc6-dev python3-dev ;; esac
}

install_units() {
  local page
  install -D -m 644 -t "$units" "${unit_files[@]/#/$here/systemd/}"
  install -D -m 644 -t "$units/seacanary@worker.service.d" "$here/systemd/worker.conf"
  install -D -m 755 "$here/systemd/seacanary-station" "$station"
  for page in bare-metal backup; do
    [ ! -e "$here/../docs/$page.md" ] || install -D -m 644 -t "$docs" "$here/../docs/$page.md"
  done
}

make_user_and_folders() {
  install -D -m 644 "$here/systemd/seacanary.sysusers" "$sysusers"
  install -D -m 644 "$here/systemd/seacanary.tmpfiles" "$tmpfiles"
  systemd-sysusers "$sysusers"
  systemd-tmpfiles --create "$tmpfiles"
  [ -e "$configuration/environment" ] || install -m 640 -g seacanary /dev/null "$configuration/environment"
}

# Make the new program in a folder of its own, $made.
make_release() {
  local requirement=$1 extras=$2 constraints=()
  made=$(mktemp -d "$releases/$(date -u +%Y%m%dT%H%M%SZ)-XXXX")
  chmod 755 "$made"
  [ ! -e "$here/../constraints.txt" ] || constraints=(-c "$here/../constraints.txt")
  say "making the new program in $made"
  if ! python3 -m venv "$made" ||
    ! "$made/bin/pip" install --quiet --disable-pip-version-check "${constraints[@]}" "${requirement}[$extras]" ||
    ! "$made/bin/seacanary" version; then
    fail "the new program could not be made; nothing was changed"
  fi
}

discard_unfinished() { [ -z "$made" ] || [ "$made" -ef "$program" ] || rm -rf "$made"; }

check_configurations() {
  local role file said
  for role in station edge worker; do
    file=$configuration/$role.yaml
    [ -e "$file" ] || continue
    if ! said=$(SEACANARY_PROGRAM=$made/bin/seacanary "$here/systemd/seacanary-station" check --role "$role" "$file" 2>&1); then
      echo "$said" >&2
      fail "the new program does not accept $file; the old one stays in place"
    fi
    say "$file: accepted"
  done
}

switch_to_made() {
  ln -sfn "$made" "$program.new"
  mv -T "$program.new" "$program"
  made=""
  ln -sfn "$program/bin/seacanary" "$command"
}

# The one before stays, so that `ln -sfn` goes back to it, and one that a process still runs from.
remove_old_releases() {
  local before=$1 release
  for release in "$releases"/*/; do
    [ "$release" -ef "$program" ] || [ "$release" -ef "$before" ] ||
      grep -qsF " $release" /proc/[0-9]*/maps || rm -rf "$release"
  done
}

systemd_runs() { [ -d /run/systemd/system ]; }

restart_services() {
  systemd_runs || return 0
  systemctl daemon-reload
  [ "$1" = yes ] || return 0
  systemctl --no-block try-restart "${services[@]}"
}

say_what_is_next() {
  if ! compgen -G "$configuration/*.yaml" >/dev/null; then
    say "next: write $configuration/station.yaml (seacanary init $configuration/station.yaml helps)," \
      "then: systemctl enable --now seacanary"
  elif systemd_runs && ! systemctl is-enabled --quiet "${services[@]}" 2>/dev/null; then
    say "next: systemctl enable --now seacanary (an edge: seacanary@edge, a worker: seacanary@worker)"
  fi
}

do_install() {
  local from=seacanary extras=cpu,alsa start=yes before
  while [ $# -gt 0 ]; do
    case $1 in
      --from) from=${2:?--from wants a value}; shift 2 ;;
      --extras) extras=${2:?--extras wants a value}; shift 2 ;;
      --no-start) start=no; shift ;;
      *) usage ;;
    esac
  done
  case $from in
    *.whl) [ -f "$from" ] || fail "$from: there is no such file"; from=$(realpath "$from") ;;
  esac
  check_machine
  [ -L "$program" ] || [ ! -e "$program" ] || fail "$program is not of its making: move it away first"
  # shellcheck disable=SC2046
  install_packages $(needed_packages "$extras")
  alone
  before=$(readlink -f "$program")
  trap discard_unfinished EXIT
  make_release "$from" "$extras"
  make_user_and_folders
  check_configurations
  install_units
  switch_to_made
  remove_old_releases "$before"
  restart_services "$start"
  say "$("$command" version) is installed"
  say_what_is_next
}

do_remove() {
  local purge=no unit
  case ${1:-} in --purge) purge=yes; shift ;; esac
  [ $# -eq 0 ] || usage
  check_machine
  ! systemd_runs || systemctl disable --now seacanary-backup.timer "${services[@]}" 2>/dev/null || true
  rm -f /etc/systemd/system/{multi-user.target.wants/seacanary{,@edge,@worker}.service,timers.target.wants/seacanary-backup.timer}
  rm -f "$command" "$station" "$sysusers" "$tmpfiles" "${unit_files[@]/#/$units/}"
  rm -rf "$units/seacanary@worker.service.d"
  rm -rf "$program" "$releases" "$docs" "$cache"
  if [ $purge = yes ]; then
    rm -rf --one-file-system "$configuration" "$state"
    for unit in "${services[@]}" "${unit_files[@]}"; do rm -rf "/etc/systemd/system/$unit" "/etc/systemd/system/$unit.d"; done
    ! getent passwd seacanary >/dev/null || userdel seacanary
    say "removed, with its configuration, its events and its evidence"
  else
    say "removed; configuration and events stay in $configuration and $state (remove --purge deletes them)"
  fi
  ! systemd_runs || systemctl daemon-reload
}

case ${1:-} in
  install) shift; do_install "$@" ;;
  remove) shift; do_remove "$@" ;;
  *) usage ;;
esac
