#!/bin/sh
# Become one Kafka broker, as the kafka service of ../compose.yaml does: user seacanary, SASL/SCRAM, nothing encrypted.
# usage: start.sh DATA_FOLDER
# Environment: KAFKA_PASSWORD, the user's password; KAFKA_ADVERTISED, HOST:PORT at which clients outside the
#   containers' network reach port 9094; KAFKA_HEAP; KAFKA_LIBS, if Kafka's libraries are not where the image has them.
# The image's own start script is not used: it writes into the image, and this container may not.
set -eu
umask 077

data=${1:?usage: start.sh DATA_FOLDER}
libs=${KAFKA_LIBS:-/opt/kafka/libs}
bind=${KAFKA_BIND:-0.0.0.0}
outside=${KAFKA_ADVERTISED:-127.0.0.1:9094}
case ${KAFKA_PASSWORD:-} in
  '') echo "KAFKA_PASSWORD is empty; set it in .env, see .env.example" >&2; exit 2 ;;
  *[!A-Za-z0-9]*) echo "KAFKA_PASSWORD may hold letters and digits only" >&2; exit 2 ;;
esac

made=$(mktemp -d)
cat >"$made/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9093
# Within the containers' network; from outside; and this container's own, which no other reaches.
listeners=INSIDE://$bind:9092,OUTSIDE://$bind:9094,SELF://127.0.0.1:9095,CONTROLLER://127.0.0.1:9093
advertised.listeners=INSIDE://kafka:9092,OUTSIDE://$outside,SELF://127.0.0.1:9095
listener.security.protocol.map=INSIDE:SASL_PLAINTEXT,OUTSIDE:SASL_PLAINTEXT,SELF:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=SELF
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.inside.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.outside.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
log.dirs=$data/log
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
END

# Arguments go through a file, as anyone may read a command line. A folder once formatted keeps its password.
[ -e "$data/cluster" ] || head -c 16 /dev/urandom | base64 | tr '+/' 'Aa' | cut -c1-22 >"$data/cluster"
printf '%s\n' format --ignore-formatted --cluster-id "$(cat "$data/cluster")" --config "$made/server.properties" \
  --add-scram "SCRAM-SHA-512=[name=seacanary,password=$KAFKA_PASSWORD]" >"$made/format"
unset KAFKA_PASSWORD
java -Xmx128m -XX:TieredStopAtLevel=1 -cp "$libs/*" kafka.tools.StorageTool "@$made/format" >/dev/null
rm "$made/format"

# Snappy and zstd unpack a library of their own, which /tmp does not let run.
mkdir -p "$data/native"
# shellcheck disable=SC2086  # options, one a word
exec java ${KAFKA_HEAP:--Xms512m -Xmx1g} -XX:+ExitOnOutOfMemoryError \
  -Dorg.xerial.snappy.tempdir="$data/native" -DZstdTempFolder="$data/native" \
  -Dlog4j2.configurationFile="$(dirname "$0")/log4j2.properties" \
  -cp "$libs/*" kafka.Kafka "$made/server.properties"
