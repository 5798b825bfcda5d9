{{/* The pod of every role. */}}
{{- define "seacanary.pod" -}}
{{- $name := include "seacanary.fullname" . -}}
metadata:
  labels:
    {{- include "seacanary.selectorLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A changed configuration is read at a start: new pods come one after the other.
    seacanary.org/config-sha256: {{ include "seacanary.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "seacanary.serviceAccountName" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if and .Values.gpu.enabled .Values.gpu.runtimeClassName }}
  runtimeClassName: {{ .Values.gpu.runtimeClassName }}
  {{- end }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    {{- if .Values.audio.enabled }}
    supplementalGroups: [{{ .Values.audio.group }}]
    {{- end }}
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: seacanary
      image: {{ include "seacanary.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - {{ get (dict "station" "run" "edge" "edge" "worker" "worker" "delivery" "worker") .Values.role }}
        - /etc/seacanary/config.yaml
        {{- with .Values.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- include "seacanary.containerSecurity" . | nindent 6 }}
      env:
        # The home folder is as read-only as the rest of the root.
        - name: MPLCONFIGDIR
          value: /tmp/matplotlib
        {{- include "seacanary.secretEnv" . | nindent 8 }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        {{- include "seacanary.containerPorts" . | nindent 8 }}
      {{- include "seacanary.probes" . | nindent 6 }}
      resources:
        {{- include "seacanary.resources" . | nindent 8 }}
      volumeMounts:
        {{- include "seacanary.mounts" . | nindent 8 }}
  volumes:
    {{- include "seacanary.volumes" . | nindent 4 }}
  {{- if .Values.topologySpread.enabled }}
  topologySpreadConstraints:
    {{- range .Values.topologySpread.keys }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: {{ $.Values.topologySpread.whenUnsatisfiable }}
      labelSelector:
        matchLabels:
          {{- include "seacanary.selectorLabels" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* A device of the host that is mounted, not handed over by a device plugin, can only be opened by a privileged
container: the runtime's device cgroup refuses it to all others. The process stays an ordinary user with the audio
group even so. */}}
{{- define "seacanary.containerSecurity" -}}
securityContext:
  readOnlyRootFilesystem: true
  {{- if and .Values.audio.enabled (eq .Values.audio.via "hostPath") }}
  privileged: true
  {{- else }}
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
  {{- end }}
{{- end }}

{{- define "seacanary.secretEnv" -}}
{{- $login := .Values.kafka.login -}}
{{- if and $login.existingSecret (ne .Values.role "station") }}
- name: KAFKA_USERNAME
  {{- if $login.username }}
  value: {{ $login.username | quote }}
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ $login.existingSecret }}
      key: {{ $login.usernameKey }}
  {{- end }}
{{- end }}
{{- with .Values.redis }}
{{- if .existingSecret }}
- name: {{ ternary "REDIS_URL" "REDIS_PASSWORD" (ne .urlKey "") }}
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ default .passwordKey .urlKey }}
{{- end }}
{{- end }}
{{- end }}

{{- define "seacanary.containerPorts" -}}
- name: metrics
  containerPort: {{ .Values.metrics.port }}
{{- if include "seacanary.hasWeb" . }}
- name: web
  containerPort: {{ .Values.web.port }}
{{- end }}
{{- if eq .Values.role "delivery" }}
- name: fleet
  containerPort: {{ .Values.fleet.port }}
{{- end }}
{{- range (include "seacanary.sourcePorts" . | fromYaml).ports }}
- name: {{ .name }}
  containerPort: {{ .port }}
  protocol: {{ .protocol }}
{{- end }}
{{- end }}

{{- define "seacanary.probes" -}}
{{- with .Values.probes -}}
# Nothing is restarted while the model loads and the journal is looked through.
startupProbe:
  httpGet: {path: {{ .healthPath }}, port: {{ .port }}}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: {{ max 1 (div .startupS 5) }}
livenessProbe:
  httpGet: {path: {{ .healthPath }}, port: {{ .port }}}
  periodSeconds: 15
  timeoutSeconds: 5
  failureThreshold: 4
readinessProbe:
  httpGet: {path: {{ .readyPath }}, port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}
{{- end }}

{{/* Devices are asked for as limits, which then are requests as well. */}}
{{- define "seacanary.resources" -}}
{{- $resources := deepCopy .Values.resources -}}
{{- $limits := default dict $resources.limits -}}
{{- if .Values.gpu.enabled -}}
{{- $_ := set $limits .Values.gpu.resource .Values.gpu.count -}}
{{- end -}}
{{- if and .Values.audio.enabled (eq .Values.audio.via "devicePlugin") -}}
{{- $_ := set $limits .Values.audio.devicePluginResource 1 -}}
{{- end -}}
{{- $_ := set $resources "limits" $limits -}}
{{- toYaml $resources -}}
{{- end }}

{{- define "seacanary.mounts" -}}
- {name: config, mountPath: /etc/seacanary, readOnly: true}
- {name: tmp, mountPath: /tmp}
# The service's home: relative paths in its configuration begin here.
- {name: state, mountPath: /var/lib/seacanary}
{{- if include "seacanary.keepsEvidence" . }}
- {name: evidence, mountPath: {{ include "seacanary.evidenceFolder" . }}}
{{- end }}
{{- range (include "seacanary.secretVolumes" . | fromYaml).volumes }}
- {name: {{ .name }}, mountPath: {{ include "seacanary.secretsFolder" $ }}/{{ .name }}, readOnly: true}
{{- end }}
{{- if and .Values.audio.enabled (eq .Values.audio.via "hostPath") }}
- {name: audio, mountPath: /dev/snd}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "seacanary.volumes" -}}
- name: config
  configMap:
    name: {{ include "seacanary.fullname" . }}
- name: tmp
  emptyDir:
    sizeLimit: 256Mi
{{- if not (include "seacanary.keeps" .) }}
# A worker's Tables: Kafka has them too, and a new worker reads them from there.
- name: state
  emptyDir:
    sizeLimit: {{ .Values.persistence.scratch.sizeGiB }}Gi
{{- end }}
{{- range (include "seacanary.secretVolumes" . | fromYaml).volumes }}
- name: {{ .name }}
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    items:
      {{- toYaml .items | nindent 6 }}
{{- end }}
{{- if and .Values.audio.enabled (eq .Values.audio.via "hostPath") }}
- name: audio
  hostPath:
    path: {{ .Values.audio.hostPath }}
    type: Directory
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Files of existing secrets under names of the chart's own: {name, secret, items} under `volumes`. */}}
{{- define "seacanary.secretVolumes" -}}
{{- $volumes := list -}}
{{- with .Values.kafka -}}
{{- if and (ne $.Values.role "station") .login.existingSecret -}}
{{- $items := list (dict "key" .login.passwordKey "path" "password") -}}
{{- $volumes = append $volumes (dict "name" "kafka-login" "secret" .login.existingSecret "items" $items) -}}
{{- end -}}
{{- if and (ne $.Values.role "station") .tls.enabled .tls.existingSecret -}}
{{- $items := list -}}
{{- range $path, $key := dict "ca.pem" .tls.caKey "certificate.pem" .tls.certificateKey "key.pem" .tls.keyKey -}}
{{- if $key -}}
{{- $items = append $items (dict "key" $key "path" $path) -}}
{{- end -}}
{{- end -}}
{{- $volumes = append $volumes (dict "name" "kafka-tls" "secret" .tls.existingSecret "items" $items) -}}
{{- end -}}
{{- end -}}
{{- with .Values.redis.tls -}}
{{- if and .enabled .existingSecret -}}
{{- $items := list (dict "key" .caKey "path" "ca.pem") -}}
{{- $volumes = append $volumes (dict "name" "redis-tls" "secret" .existingSecret "items" $items) -}}
{{- end -}}
{{- end -}}
{{- dict "volumes" $volumes | toYaml -}}
{{- end }}
