{{/* Where everything lies in the container. */}}
{{- define "seacanary.stateFolder" -}}/var/lib/seacanary/state{{- end }}
{{- define "seacanary.evidenceFolder" -}}/var/lib/seacanary/evidence{{- end }}
{{- define "seacanary.secretsFolder" -}}/run/secrets/seacanary{{- end }}

{{/* The configuration as given, as YAML: configText with config over it. */}}
{{- define "seacanary.given" -}}
{{- mergeOverwrite (.Values.configText | fromYaml) (deepCopy .Values.config) | toYaml -}}
{{- end }}

{{/* The service's configuration: what the chart knows, under what was given, under what must agree with the rest of the chart. */}}
{{- define "seacanary.config" -}}
{{- $v := .Values -}}
{{- $given := include "seacanary.given" . | fromYaml -}}
{{- $config := dict -}}
{{- if include "seacanary.hears" . -}}
{{- $config = include "seacanary.hearingConfig" . | fromYaml -}}
{{- if not $given -}}
{{- $config = merge (include "seacanary.simulatedSea" . | fromYaml) $config -}}
{{- end -}}
{{- end -}}
{{- if $v.gpu.enabled -}}
{{- $_ := set $config "model" (dict "providers" (ternary (list "cuda" "cpu") (list "cuda") $v.gpu.fallback)) -}}
{{- end -}}
{{- if ne $v.role "station" -}}
{{- $_ := set $config "kafka" (include "seacanary.kafkaConfig" . | fromYaml) -}}
{{- end -}}
{{- $config = mergeOverwrite $config (deepCopy $given) (include "seacanary.bindingConfig" . | fromYaml) -}}
{{- if or $v.redis.host $v.redis.urlKey -}}
{{- $_ := set $config "publishers" (append (default list $config.publishers) (include "seacanary.redisConfig" . | fromYaml)) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{- define "seacanary.hearingConfig" -}}
{{- if eq .Values.role "station" -}}
journal:
  path: {{ include "seacanary.stateFolder" . }}/journal.db
{{- end }}
{{- if include "seacanary.keepsEvidence" . }}
evidence:
  path: {{ include "seacanary.evidenceFolder" . }}
{{- end }}
{{- if eq .Values.role "edge" }}
edge:
  # A tenth of the claim is left for the file system and for what else lies there.
  spool_limit_bytes: {{ mul .Values.persistence.spool.sizeGiB 966367641 }}
{{- end }}
{{- end }}

{{/* What must agree with mounts, ports and probes. */}}
{{- define "seacanary.bindingConfig" -}}
metrics:
  enabled: true
  host: {{ .Values.listenOn | quote }}
  port: {{ .Values.metrics.port }}
{{- if include "seacanary.hasWeb" . }}
web:
  enabled: true
  host: {{ .Values.listenOn | quote }}
  port: {{ .Values.web.port }}
  {{- with .Values.web.publicUrl }}
  public_url: {{ . | quote }}
  {{- end }}
{{- end }}
{{- if eq .Values.role "edge" }}
edge:
  spool: {{ include "seacanary.stateFolder" . }}/spool
{{- else if eq .Values.role "worker" }}
worker:
  data: {{ include "seacanary.stateFolder" . }}/worker
  roles: [infer, track]
{{- else if eq .Values.role "delivery" }}
worker:
  data: {{ include "seacanary.stateFolder" . }}/worker
  roles: [deliver, fleet]
  host: {{ .Values.listenOn | quote }}
  port: {{ .Values.fleet.port }}
{{- end }}
{{- end }}

{{- define "seacanary.simulatedSea" -}}
station:
  name: simulated
sources:
  - kind: simulated
    hydrophones: [simulated-sea]
    sample_rate_hz: 384000
    pace: realtime
    scene:
      seed: 1
      whistle: {bouts_per_min: 2, snr_db: [14, 26]}
{{- end }}

{{- define "seacanary.kafkaConfig" -}}
{{- $kafka := .Values.kafka -}}
bootstrap_servers: {{ toJson $kafka.bootstrapServers }}
topic_prefix: {{ $kafka.topicPrefix | quote }}
partitions: {{ $kafka.partitions }}
replication: {{ $kafka.replication }}
{{- if $kafka.login.existingSecret }}
login:
  mechanism: {{ $kafka.login.mechanism }}
  username: ${KAFKA_USERNAME}
  password_file: {{ include "seacanary.secretsFolder" . }}/kafka-login/password
{{- end }}
{{- if $kafka.tls.enabled }}
{{- if $kafka.tls.existingSecret }}
tls:
  {{- $folder := printf "%s/kafka-tls" (include "seacanary.secretsFolder" .) }}
  {{- with $kafka.tls.caKey }}
  ca_file: {{ $folder }}/ca.pem
  {{- end }}
  {{- with $kafka.tls.certificateKey }}
  certificate_file: {{ $folder }}/certificate.pem
  {{- end }}
  {{- with $kafka.tls.keyKey }}
  key_file: {{ $folder }}/key.pem
  {{- end }}
{{- else }}
tls: {}
{{- end }}
{{- end }}
{{- end }}

{{- define "seacanary.redisConfig" -}}
{{- $redis := .Values.redis -}}
kind: redis_streams
name: redis
{{- if $redis.urlKey }}
url: ${REDIS_URL}
{{- else }}
{{- $user := ternary (printf "%s:${REDIS_PASSWORD}@" $redis.username) "" (ne $redis.existingSecret "") }}
url: {{ printf "%s://%s%s:%v/%v" (ternary "rediss" "redis" $redis.tls.enabled) $user $redis.host $redis.port $redis.database }}
{{- end }}
stream: {{ $redis.stream | quote }}
{{- if and $redis.tls.enabled $redis.tls.existingSecret }}
ca_file: {{ include "seacanary.secretsFolder" . }}/redis-tls/ca.pem
{{- end }}
{{- end }}
