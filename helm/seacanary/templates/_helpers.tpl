{{/* Names are cut so that what Kubernetes hangs on to them still fits into a label. */}}
{{- define "seacanary.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "seacanary.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "seacanary.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "seacanary.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "seacanary.selectorLabels" -}}
app.kubernetes.io/name: {{ include "seacanary.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ .Values.role }}
{{- end }}

{{- define "seacanary.labels" -}}
{{ include "seacanary.selectorLabels" . }}
app.kubernetes.io/part-of: seacanary
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "seacanary.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "seacanary.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "seacanary.image" -}}
{{- $tag := default (ternary (printf "%s-gpu" .Chart.AppVersion) .Chart.AppVersion .Values.gpu.enabled) .Values.image.tag -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository $tag -}}
{{- end -}}
{{- end }}

{{/* "true" for roles that have hydrophones. */}}
{{- define "seacanary.hears" -}}
{{- if has .Values.role (list "station" "edge") }}true{{ end -}}
{{- end }}

{{/* "true" for roles that keep something from one start to the next. */}}
{{- define "seacanary.keeps" -}}
{{- if ne .Values.role "worker" }}true{{ end -}}
{{- end }}

{{- define "seacanary.keepsEvidence" -}}
{{- if and (include "seacanary.hears" .) .Values.persistence.evidence.enabled }}true{{ end -}}
{{- end }}

{{- define "seacanary.hasWeb" -}}
{{- if and (include "seacanary.hears" .) .Values.web.enabled }}true{{ end -}}
{{- end }}

{{/* What scales the workers: keda, external, cpu or none. */}}
{{- define "seacanary.scaledBy" -}}
{{- $keda := .Capabilities.APIVersions.Has "keda.sh/v1alpha1/ScaledObject" -}}
{{- $external := .Capabilities.APIVersions.Has "external.metrics.k8s.io/v1beta1" -}}
{{- if or (ne .Values.role "worker") (not .Values.autoscaling.enabled) -}}
none
{{- else if ne .Values.autoscaling.via "auto" -}}
{{ .Values.autoscaling.via }}
{{- else -}}
{{ ternary "keda" (ternary "external" "cpu" $external) $keda }}
{{- end -}}
{{- end }}

{{/* The label `station` by which rules and dashboards go. */}}
{{- define "seacanary.stationLabel" -}}
{{- $config := include "seacanary.config" . | fromYaml -}}
{{- default (dig "station" "name" (include "seacanary.fullname" .) $config) .Values.monitoring.station -}}
{{- end }}

{{/* Ports on which sources wait to be called: a list of {name, port, protocol} under `ports`. */}}
{{- define "seacanary.sourcePorts" -}}
{{- $config := include "seacanary.config" . | fromYaml -}}
{{- $ports := list -}}
{{- range $config.sources -}}
{{- if has .kind (list "udp" "rtp") -}}
{{- $ports = append $ports (dict "name" (printf "udp-%v" .port) "port" .port "protocol" "UDP") -}}
{{- else if and (eq .kind "tcp") (eq (default "connect" .mode) "listen") -}}
{{- $ports = append $ports (dict "name" (printf "tcp-%v" .port) "port" .port "protocol" "TCP") -}}
{{- end -}}
{{- end -}}
{{- dict "ports" (uniq $ports) | toYaml -}}
{{- end }}
