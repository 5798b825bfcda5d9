{{/* All that the schema cannot say, or not so that a person understands it. Each fault names its value. */}}
{{- define "seacanary.refuse" -}}
{{- $faults := list -}}
{{- range list "formFaults" "roleFaults" "configFaults" "kafkaFaults" "redisFaults" "deviceFaults" "scalingFaults" -}}
{{- $faults = concat $faults (include (printf "seacanary.%s" .) $ | fromYaml).faults -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "%d of the values cannot be used:\n  %s" (len $faults) (join "\n  " $faults)) -}}
{{- end -}}
{{- end }}

{{/* Values of a certain form, and how to say it: a schema would answer with the pattern alone. */}}
{{- define "seacanary.formFaults" -}}
{{- $v := .Values -}}
{{- $name := "^$|^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$" -}}
{{- $named := "lower-case letters, digits, '-' and '.'" -}}
{{- $device := "^[a-z0-9.-]+/[A-Za-z0-9._-]+$" -}}
{{- $forms := list
  (list "nameOverride" $v.nameOverride "^$|^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" "lower-case letters, digits and '-'")
  (list "fullnameOverride" $v.fullnameOverride "^$|^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" "lower-case letters, digits and '-'")
  (list "image.digest" $v.image.digest "^$|^sha256:[0-9a-f]{64}$" "empty, or sha256: and 64 hexadecimal digits")
  (list "kafka.topicPrefix" $v.kafka.topicPrefix "^[A-Za-z0-9._-]*$" "letters, digits, '.', '_' and '-'")
  (list "kafka.login.existingSecret" $v.kafka.login.existingSecret $name $named)
  (list "kafka.tls.existingSecret" $v.kafka.tls.existingSecret $name $named)
  (list "redis.existingSecret" $v.redis.existingSecret $name $named)
  (list "redis.tls.existingSecret" $v.redis.tls.existingSecret $name $named)
  (list "audio.hostPath" $v.audio.hostPath "^/" "a folder of the node, from its root, such as /dev/snd")
  (list "audio.devicePluginResource" $v.audio.devicePluginResource (printf "^$|%s" $device) "DOMAIN/NAME, such as squat.ai/audio")
  (list "gpu.resource" $v.gpu.resource $device "DOMAIN/NAME, such as nvidia.com/gpu")
  (list "gpu.runtimeClassName" $v.gpu.runtimeClassName $name $named)
  (list "priorityClassName" $v.priorityClassName $name $named)
  (list "persistence.storageClass" $v.persistence.storageClass $name $named)
  (list "serviceAccount.name" $v.serviceAccount.name $name $named)
  (list "probes.healthPath" $v.probes.healthPath "^/" "a path, such as /healthz")
  (list "probes.readyPath" $v.probes.readyPath "^/" "a path, such as /readyz")
  (list "monitoring.serviceMonitor.interval" $v.monitoring.serviceMonitor.interval "^[0-9]+(ms|s|m)$" "a time, such as 5s")
  (list "podDisruptionBudget.maxUnavailable" (toString $v.podDisruptionBudget.maxUnavailable) "^[0-9]+%?$" "a number of pods, or a share such as 50%")
  (list "web.publicUrl" $v.web.publicUrl "^$|^https?://[^/?#@]+(/[^?#]*)?$" "http://HOST[:PORT][/PATH] or https://...")
-}}
{{- $faults := list -}}
{{- range $forms -}}
{{- if not (regexMatch (index . 2) (index . 1)) -}}
{{- $faults = append $faults (printf "%s: must be %s, got %s" (index . 0) (index . 3) (index . 1)) -}}
{{- end -}}
{{- end -}}
{{- dict "faults" (default list $faults) | toYaml -}}
{{- end }}

{{- define "seacanary.roleFaults" -}}
{{- $v := .Values -}}
{{- $faults := list -}}
{{- if and (eq $v.role "station") $v.kafka.bootstrapServers -}}
{{- $faults = append $faults "kafka.bootstrapServers: a station works without Kafka; use role: edge to send images there, or a publisher of kind kafka in config.publishers to send events" -}}
{{- end -}}
{{- if and (ne $v.role "station") (not $v.kafka.bootstrapServers) -}}
{{- $faults = append $faults (printf "kafka.bootstrapServers: role %s needs some of the brokers, such as [kafka-1.example.org:9092]" $v.role) -}}
{{- end -}}
{{- if and $v.web.publicUrl (not (include "seacanary.hears" .)) -}}
{{- $faults = append $faults (printf "web.publicUrl: roles station and edge have pages to look at, role %s has none" $v.role) -}}
{{- end -}}
{{- dict "faults" (default list $faults) | toYaml -}}
{{- end }}

{{- define "seacanary.configFaults" -}}
{{- $v := .Values -}}
{{- $faults := list -}}
{{- $given := include "seacanary.given" . | fromYaml -}}
{{- $written := $v.configText | fromYaml -}}
{{- if and $v.configText (or (not $written) (hasKey $written "Error")) -}}
{{- $faults = append $faults (printf "configText: not a YAML mapping: %v" (get $written "Error")) -}}
{{- else if $given -}}
{{- if include "seacanary.hears" . -}}
{{- range list "station" "sources" -}}
{{- if not (get $given .) -}}
{{- $faults = append $faults (printf "config.%s: missing; role %s needs it as soon as config holds anything" . $v.role) -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- range list "station" "sources" -}}
{{- if hasKey $given . -}}
{{- $faults = append $faults (printf "config.%s: role %s has no hydrophones; this belongs to a release with role station or edge" . $v.role) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $faults = concat $faults (include "seacanary.plainSecrets" (dict "tree" $given "path" "config" "secret" false) | fromYaml).faults -}}
{{- end -}}
{{- dict "faults" (default list $faults) | toYaml -}}
{{- end }}

{{/* Secrets in the configuration, which is a ConfigMap that many may read: literals where a secret stands, all of `headers`
and `secrets`, a channel's whole URL, and passwords in any other. */}}
{{- define "seacanary.plainSecrets" -}}
{{- $faults := list -}}
{{- $path := .path -}}
{{- $secret := .secret -}}
{{- if kindIs "map" .tree -}}
{{- $isChannel := eq "notify" (toString (get .tree "kind")) -}}
{{- range $key, $value := .tree -}}
{{- $named := regexMatch "^(password|passphrase|secret|secrets|token|review_secret|headers)$" $key -}}
{{- $below := dict "tree" $value "path" (printf "%s.%s" $path $key) "secret" (or $secret $named (and $isChannel (eq $key "url"))) -}}
{{- $faults = concat $faults (include "seacanary.plainSecrets" $below | fromYaml).faults -}}
{{- end -}}
{{- else if kindIs "slice" .tree -}}
{{- range $i, $value := .tree -}}
{{- $below := dict "tree" $value "path" (printf "%s[%d]" $path $i) "secret" $secret -}}
{{- $faults = concat $faults (include "seacanary.plainSecrets" $below | fromYaml).faults -}}
{{- end -}}
{{- else if not (or (kindIs "invalid" .tree) (kindIs "bool" .tree)) -}}
{{- $text := toString .tree -}}
{{- $password := regexReplaceAll "^//[^:]*:?(.*)@$" (regexFind "//[^/?#]*@" $text) "${1}" -}}
{{- if or (and $secret (not (contains "${" $text))) (and $password (not (contains "${" $password))) -}}
{{- $faults = append $faults (printf "%s: a secret does not belong into a ConfigMap; write ${NAME}, and give NAME from a Secret in extraEnvFrom" $path) -}}
{{- end -}}
{{- end -}}
{{- dict "faults" (default list $faults) | toYaml -}}
{{- end }}

{{- define "seacanary.kafkaFaults" -}}
{{- $kafka := .Values.kafka -}}
{{- $faults := list -}}
{{- range $i, $broker := $kafka.bootstrapServers -}}
{{- if not (regexMatch "^([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:]+\\]):[0-9]{1,5}$" $broker) -}}
{{- $faults = append $faults (printf "kafka.bootstrapServers[%d]: a broker is HOST:PORT, such as kafka-1.example.org:9092, got %s" $i $broker) -}}
{{- end -}}
{{- end -}}
{{- if and $kafka.login.username (not $kafka.login.existingSecret) -}}
{{- $faults = append $faults "kafka.login.existingSecret: missing; it holds the password of kafka.login.username" -}}
{{- end -}}
{{- if and $kafka.tls.existingSecret (not $kafka.tls.enabled) -}}
{{- $faults = append $faults "kafka.tls.enabled: must be true for kafka.tls.existingSecret to be used" -}}
{{- end -}}
{{- if and $kafka.tls.certificateKey (not $kafka.tls.existingSecret) -}}
{{- $faults = append $faults "kafka.tls.existingSecret: missing; it holds the file that kafka.tls.certificateKey names" -}}
{{- end -}}
{{- if and $kafka.tls.keyKey (not $kafka.tls.certificateKey) -}}
{{- $faults = append $faults "kafka.tls.certificateKey: missing; a key (kafka.tls.keyKey) is of no use without its certificate" -}}
{{- end -}}
{{- dict "faults" (default list $faults) | toYaml -}}
{{- end }}

{{- define "seacanary.redisFaults" -}}
{{- $v := .Values -}}
{{- $redis := $v.redis -}}
{{- $faults := list -}}
{{- if and (or $redis.host $redis.urlKey) (not (has $v.role (list "station" "delivery"))) -}}
{{- $faults = append $faults (printf "redis.host: only roles station and delivery publish events, role %s does not" $v.role) -}}
{{- end -}}
{{- if and $redis.urlKey (not $redis.existingSecret) -}}
{{- $faults = append $faults "redis.existingSecret: missing; redis.urlKey names a key in it" -}}
{{- end -}}
{{- if and $redis.username (not $redis.existingSecret) -}}
{{- $faults = append $faults "redis.existingSecret: missing; it holds the password of redis.username" -}}
{{- end -}}
{{- if and $redis.existingSecret (not $redis.urlKey) (not $redis.host) -}}
{{- $faults = append $faults "redis.host: missing; or name the key of redis.existingSecret that holds the whole address in redis.urlKey" -}}
{{- end -}}
{{- if contains "/" $redis.host -}}
{{- $faults = append $faults (printf "redis.host: a name or an address alone, such as redis.example.org, got %s" $redis.host) -}}
{{- end -}}
{{- if and $redis.tls.existingSecret (not $redis.tls.enabled) -}}
{{- $faults = append $faults "redis.tls.enabled: must be true for redis.tls.existingSecret to be used" -}}
{{- end -}}
{{- dict "faults" (default list $faults) | toYaml -}}
{{- end }}

{{- define "seacanary.deviceFaults" -}}
{{- $v := .Values -}}
{{- $faults := list -}}
{{- if and $v.audio.enabled (not (include "seacanary.hears" .)) -}}
{{- $faults = append $faults (printf "audio.enabled: roles station and edge have sound devices, role %s has none" $v.role) -}}
{{- end -}}
{{- if and $v.audio.enabled (eq $v.audio.via "devicePlugin") (not $v.audio.devicePluginResource) -}}
{{- $faults = append $faults "audio.devicePluginResource: missing; the resource under which your device plugin offers /dev/snd, such as squat.ai/audio" -}}
{{- end -}}
{{- if not $v.audio.enabled -}}
{{- $config := include "seacanary.config" . | fromYaml -}}
{{- range $i, $source := $config.sources -}}
{{- if has $source.kind (list "soundcard" "alsa") -}}
{{- $faults = append $faults (printf "audio.enabled: must be true, as config.sources[%d] is of kind %s" $i $source.kind) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $v.gpu.enabled (eq $v.role "delivery") -}}
{{- $faults = append $faults "gpu.enabled: role delivery runs no model" -}}
{{- end -}}
{{- dict "faults" (default list $faults) | toYaml -}}
{{- end }}

{{- define "seacanary.scalingFaults" -}}
{{- $v := .Values -}}
{{- $scaling := $v.autoscaling -}}
{{- $faults := list -}}
{{- if and (eq $v.role "worker") (gt (int $v.replicas) (int $v.kafka.partitions)) -}}
{{- $faults = append $faults (printf "replicas: %v workers, but kafka.partitions is %v: the others would have nothing to do" $v.replicas $v.kafka.partitions) -}}
{{- end -}}
{{- if $scaling.enabled -}}
{{- if ne $v.role "worker" -}}
{{- $faults = append $faults (printf "autoscaling.enabled: only role worker can be scaled, role %s cannot" $v.role) -}}
{{- end -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- $faults = append $faults (printf "autoscaling.minReplicas: %v is more than autoscaling.maxReplicas, %v" $scaling.minReplicas $scaling.maxReplicas) -}}
{{- end -}}
{{- if gt (int $scaling.maxReplicas) (int $v.kafka.partitions) -}}
{{- $faults = append $faults (printf "autoscaling.maxReplicas: %v workers, but kafka.partitions is %v: the others would have nothing to do" $scaling.maxReplicas $v.kafka.partitions) -}}
{{- end -}}
{{- if and (eq $scaling.via "keda") (not (.Capabilities.APIVersions.Has "keda.sh/v1alpha1/ScaledObject")) -}}
{{- $faults = append $faults "autoscaling.via: keda, but this cluster has no KEDA (no keda.sh/v1alpha1/ScaledObject); install it, or choose auto, external or cpu" -}}
{{- end -}}
{{- if and (eq (include "seacanary.scaledBy" .) "cpu") (not (dig "requests" "cpu" "" $v.resources)) -}}
{{- $faults = append $faults "resources.requests.cpu: missing; autoscaling by CPU is measured against it" -}}
{{- end -}}
{{- end -}}
{{- dict "faults" (default list $faults) | toYaml -}}
{{- end }}
