{{- define "threadbot.name" -}}
{{- $name := .Release.Name -}}
{{- if not (contains "threadbot" $name) -}}{{- $name = printf "%s-threadbot" $name -}}{{- end -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "threadbot.selector" -}}
app.kubernetes.io/name: threadbot
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "threadbot.labels" -}}
{{ include "threadbot.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "threadbot.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* What every pod has: no rights, no token of the cluster, no variables of other Services. */}}
{{- define "threadbot.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "threadbot.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "threadbot.bot" -}}
image: {{ include "threadbot.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{ include "threadbot.container" . }}
envFrom:
  - secretRef: {name: {{ .Values.existingSecret | quote }}}
env:
  {{- if .Values.valkey.enabled }}
  - name: VALKEY_PASSWORD
    valueFrom: {secretKeyRef: {name: {{ .Values.existingSecret | quote }}, key: VALKEY_PASSWORD}}
  - {name: REDIS_URL, value: "redis://:$(VALKEY_PASSWORD)@{{ include "threadbot.name" . }}-valkey:6379/0"}
  {{- end }}
  - {name: PORT, value: "3000"}
  - {name: BOT_HOST, value: "0.0.0.0"}
  - {name: BOT_HEALTH_PORT, value: "3001"}
  - {name: BOT_STATE_DIR, value: /data}
  {{- range $name, $value := .Values.env }}
  - {name: {{ $name }}, value: {{ $value | toString | quote }}}
  {{- end }}
volumeMounts:
  - {name: data, mountPath: /data}
  - {name: tmp, mountPath: /tmp}
  {{- if .Values.files }}
  - {name: config, mountPath: /config, readOnly: true}
  {{- end }}
{{- end -}}

{{- define "threadbot.volumes" -}}
volumes:
  - {name: data, emptyDir: {}}
  - {name: tmp, emptyDir: {}}
  {{- if .Values.files }}
  - {name: config, configMap: {name: {{ include "threadbot.name" . }}}}
  {{- end }}
{{- end -}}

{{/* Spread over nodes where that is possible. Takes the chart's scope and a component. */}}
{{- define "threadbot.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "threadbot.selector" .scope | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "threadbot.annotations" -}}
checksum/files: {{ .Values.files | toJson | sha256sum }}
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}
