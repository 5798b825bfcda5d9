#!/bin/sh
# Start Alertmanager with alertmanager.yml, the webhook's address put in from a file.
# usage: start.sh STATE_FOLDER [ALERTMANAGER OPTIONS...]
# Secrets: webhook_url and webhook_token, in $ALERTMANAGER_SECRETS or in secrets/ beside this file.
# Address to listen on: $ALERTMANAGER_LISTEN, 127.0.0.1:9093 if not set.
set -eu
umask 077

here=$(cd "$(dirname "$0")" && pwd)
secrets=${ALERTMANAGER_SECRETS:-$here/secrets}
[ $# -ge 1 ] || { echo "usage: start.sh STATE_FOLDER [ALERTMANAGER OPTIONS...]" >&2; exit 2; }
state=$1
shift

for secret in webhook_url webhook_token; do
  [ -s "$secrets/$secret" ] || { echo "$secrets/$secret is missing or empty; see docs/monitoring.md" >&2; exit 2; }
done
mkdir -p "$state"
ln -sfn "$secrets" "$state/secrets"

# The address travels in the environment of awk, never on a command line, and is not read as a pattern.
WEBHOOK_URL=$(head -n 1 "$secrets/webhook_url")
export WEBHOOK_URL
case $WEBHOOK_URL in
  http://* | https://*) ;;
  *) echo "$secrets/webhook_url must hold one http:// or https:// address" >&2; exit 2 ;;
esac
awk 'BEGIN { address = ENVIRON["WEBHOOK_URL"]; gsub(/\047/, "&&", address) }
     /^ *- url: http:\/\/[a-z-]*\.invalid\/$/ { sub(/http:.*/, ""); $0 = $0 "\047" address "\047" }
     { print }' "$here/alertmanager.yml" >"$state/alertmanager.yml"
unset WEBHOOK_URL

program=$(command -v alertmanager || command -v prometheus-alertmanager) ||
  { echo "neither alertmanager nor prometheus-alertmanager is installed" >&2; exit 127; }
# One Alertmanager needs no cluster port.
exec "$program" --config.file="$state/alertmanager.yml" --storage.path="$state/data" \
  --web.listen-address="${ALERTMANAGER_LISTEN:-127.0.0.1:9093}" --cluster.listen-address= "$@"
