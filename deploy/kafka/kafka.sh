#!/usr/bin/env bash
# Apache Kafka on this machine's loopback, for trials and tests: small, KRaft, one process a broker.
# usage: kafka.sh up [--brokers 1|3] [--secure] | status | down | wipe | fetch
#   up      fetch Kafka if it is not there, make and format the folder, start the brokers that do not run, wait for them
#   status  which brokers run; exit code 3 if not all of them
#   down    stop the brokers, keep what they hold
#   wipe    stop them and delete all that they hold
#   fetch   fetch Kafka through Maven and no more
# Used by up, and by tests that kill brokers one by one:
#   prepare [--brokers 1|3] [--secure]    as up, without starting
#   run NUMBER                            become that broker, in the foreground
# --secure: clients must know a user's password (SASL/SCRAM) over TLS; user seacanary, password and ca.pem in the
#   folder's secrets/. Controllers and brokers know each other by certificate and password.
# Environment:
#   KAFKA_FOLDER  what brokers hold and log   (default: ~/.local/state/seacanary/kafka)
#   KAFKA_CACHE   where Kafka is fetched to   (default: ~/.cache/seacanary/kafka)
#   KAFKA_PORTS   ports, first of the brokers, then of the controllers (default: 9092 9094 9096, 9093 9095 9097)
#   KAFKA_HEAP    memory of a broker          (default: -Xms64m -Xmx256m)
set -euo pipefail
umask 077

here=$(cd "$(dirname "$0")" && pwd)
folder=${KAFKA_FOLDER:-${XDG_STATE_HOME:-$HOME/.local/state}/seacanary/kafka}
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/pom.xml")
cache=${KAFKA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/seacanary/kafka}
libs=$cache/$version
ready="Kafka Server started"

refuse() { echo "$1" >&2; exit "${2:-2}"; }

usage() { refuse "usage: kafka.sh up [--brokers 1|3] [--secure] | status | down | wipe | fetch"; }

fetch() {
  [ -d "$libs" ] && return
  command -v mvn >/dev/null || refuse "mvn is not installed; it fetches Kafka. Debian: apt-get install maven" 127
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
  if [ ! -d "$libs" ]; then
    echo "Fetching Apache Kafka $version into $libs"
    rm -rf "$libs.part"
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$libs.part" ||
      refuse "Maven could not fetch Kafka $version" 1
    mv "$libs.part" "$libs"
  fi
  exec 9>&-
}

java_of_kafka() { # JAVA OPTIONS... CLASS ARGUMENTS...
  command -v java >/dev/null || refuse "java is not installed; Kafka needs 17 or later. Debian: apt-get install openjdk-17-jre-headless" 127
  exec java -cp "$libs/*" -Dlog4j2.configurationFile="$here/log4j2.properties" "$@"
}

choose() { # OPTIONS of up
  brokers=1 secure=no
  while [ $# -gt 0 ]; do
    case $1 in
      --brokers) brokers=${2:-}; shift 2 || usage ;;
      --secure) secure=yes; shift ;;
      *) usage ;;
    esac
  done
  [[ $brokers == [13] ]] || refuse "--brokers must be 1 or 3, got '$brokers'"
  read -ra ports <<<"${KAFKA_PORTS:-$([ "$brokers" = 1 ] && echo 9092 9093 || echo 9092 9094 9096 9093 9095 9097)}"
  [ ${#ports[@]} -eq $((2 * brokers)) ] || refuse "KAFKA_PORTS must name $((2 * brokers)) ports, got '${ports[*]}'"
  chosen="$brokers $secure ${ports[*]}"
}

remember() { # what a folder was made for must not change under it
  mkdir -p "$folder"
  if [ -e "$folder/chosen" ]; then
    [ "$(cat "$folder/chosen")" = "$chosen" ] && return
    refuse "$folder holds another cluster (brokers, secure, ports: $(cat "$folder/chosen")); kafka.sh wipe deletes it"
  fi
  openssl rand -base64 16 | tr '+/' 'Aa' | cut -c1-22 >"$folder/cluster"
  [ "$secure" = no ] || make_secrets
  echo "$chosen" >"$folder/chosen"
}

make_secrets() {
  "$here/certificates.sh" "$folder/secrets"
  openssl rand -hex 24 >"$folder/secrets/password"
  openssl rand -hex 24 >"$folder/secrets/broker_password"
}

properties() { # NUMBER
  local i voters="" map="CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT" copies=$brokers
  for ((i = 1; i <= brokers; i++)); do voters+=",$i@127.0.0.1:${ports[brokers + i - 1]}"; done
  [ "$secure" = no ] || map="CLIENT:SASL_SSL,CONTROLLER:SSL"
  cat <<END
process.roles=broker,controller
node.id=$1
controller.quorum.voters=${voters#,}
listeners=CLIENT://127.0.0.1:${ports[$1 - 1]},CONTROLLER://127.0.0.1:${ports[brokers + $1 - 1]}
inter.broker.listener.name=CLIENT
controller.listener.names=CONTROLLER
listener.security.protocol.map=$map
log.dirs=$folder/node-$1/data
# A topic is made on purpose, with its partitions stated, or not at all.
auto.create.topics.enable=false
default.replication.factor=$copies
min.insync.replicas=$((copies > 1 ? 2 : 1))
offsets.topic.replication.factor=$copies
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=$((copies > 1 ? 2 : 1))
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=$copies
share.coordinator.state.topic.min.isr=1
# Small, for a machine that has other things to do.
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=8388608
group.initial.rebalance.delay.ms=500
END
  [ "$secure" = no ] || secure_properties
}

secure_properties() {
  local login=org.apache.kafka.common.security.scram.ScramLoginModule
  cat <<END
ssl.keystore.type=PEM
ssl.keystore.location=$folder/secrets/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location=$folder/secrets/ca.pem
listener.name.controller.ssl.client.auth=required
listener.name.client.ssl.client.auth=requested
sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.client.scram-sha-512.sasl.jaas.config=$login required username="broker" password="$(cat "$folder/secrets/broker_password")";
listener.name.client.scram-sha-256.sasl.jaas.config=$login required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:broker;User:CN=broker;User:seacanary
END
}

format() { # NUMBER; arguments go through a file, as anyone may read a command line
  local node=$folder/node-$1 user password
  [ -e "$node/data/meta.properties" ] && return
  mkdir -p "$node"
  properties "$1" >"$node/server.properties"
  printf '%s\n' format --cluster-id "$(cat "$folder/cluster")" --config "$node/server.properties" >"$node/format"
  if [ "$secure" = yes ]; then
    for user in broker seacanary; do
      password=$(cat "$folder/secrets/$([ $user = broker ] && echo broker_)password")
      printf '%s\n' --add-scram "SCRAM-SHA-512=[name=$user,password=$password]" \
        --add-scram "SCRAM-SHA-256=[name=$user,password=$password]" >>"$node/format"
    done
  fi
  (java_of_kafka -Xmx128m -XX:TieredStopAtLevel=1 kafka.tools.StorageTool "@$node/format") >"$node/format.log" 2>&1 ||
    refuse "broker $1 could not be formatted: $(cat "$node/format.log")" 1
  rm "$node/format"
}

prepare() {
  choose "$@"
  fetch
  remember
  for ((number = 1; number <= brokers; number++)); do format "$number"; done
}

run() { # NUMBER
  [ -e "$folder/node-$1/server.properties" ] || refuse "there is no broker $1 in $folder"
  # shellcheck disable=SC2086  # options, one a word
  java_of_kafka ${KAFKA_HEAP:--Xms64m -Xmx256m} -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError \
    kafka.Kafka "$folder/node-$1/server.properties"
}

process_of() { # NODE FOLDER; prints the broker's process, if it runs
  local pid
  pid=$(cat "$1/pid" 2>/dev/null) || return 1
  # The number may have been given to another program since.
  tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "kafka.Kafka $1/" && echo "$pid"
}

start() { # NUMBER
  local node=$folder/node-$1
  process_of "$node" >/dev/null && return
  [ ! -e "$node/broker.log" ] || mv "$node/broker.log" "$node/broker.log.1"
  setsid "$here/kafka.sh" run "$1" >"$node/broker.log" 2>&1 </dev/null &
  echo $! >"$node/pid"
}

await() { # NUMBER; up to two minutes, as three brokers on a busy machine take their time
  local node=$folder/node-$1
  for _ in $(seq 600); do
    grep -q "$ready" "$node/broker.log" && return
    kill -0 "$(cat "$node/pid")" 2>/dev/null || refuse "broker $1 ended; the last it said: $(tail -n 5 "$node/broker.log")" 1
    sleep 0.2
  done
  refuse "broker $1 is not ready after two minutes; see $node/broker.log" 1
}

up() {
  prepare "$@"
  for ((number = 1; number <= brokers; number++)); do start "$number"; done
  for ((number = 1; number <= brokers; number++)); do await "$number"; done
  status
}

nodes() { find "$folder" -maxdepth 1 -name 'node-*' 2>/dev/null | sort; }

status() {
  local node pid all=yes
  [ -n "$(nodes)" ] || refuse "no cluster in $folder" 3
  while read -r node; do
    if pid=$(process_of "$node"); then
      echo "broker ${node##*-}: $(sed -n 's/^listeners=CLIENT:..\([^,]*\),.*/\1/p' "$node/server.properties"), process $pid"
    else
      echo "broker ${node##*-}: down"
      all=no
    fi
  done < <(nodes)
  [ ! -d "$folder/secrets" ] || echo "user seacanary; password and ca.pem in $folder/secrets"
  [ $all = yes ] || exit 3
}

down() {
  local node pid
  while read -r node; do
    if pid=$(process_of "$node"); then kill -CONT "$pid"; kill "$pid"; fi
  done < <(nodes)
  while read -r node; do
    for _ in $(seq 150); do process_of "$node" >/dev/null || break; sleep 0.2; done
    if pid=$(process_of "$node"); then
      echo "broker ${node##*-} did not stop within 30 s and is killed" >&2
      kill -KILL "$pid"
    fi
    rm -f "$node/pid"
  done < <(nodes)
}

wipe() {
  down
  # Only what this script made: a folder given by mistake loses nothing else.
  rm -rf "$folder"/node-[123] "$folder/secrets" "$folder/cluster" "$folder/chosen"
  [ ! -d "$folder" ] || rmdir --ignore-fail-on-non-empty "$folder"
}

command=${1:-}
shift || usage
case $command in
  up | prepare) "$command" "$@" ;;
  run) [ $# -eq 1 ] || usage; run "$1" ;;
  fetch | status | down | wipe) [ $# -eq 0 ] || usage; "$command" ;;
  *) usage ;;
esac
