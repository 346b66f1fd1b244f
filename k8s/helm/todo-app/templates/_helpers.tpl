{{- define "todo-app.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "todo-app.fullname" -}}
{{- default (include "todo-app.name" .) .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "todo-app.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{/* Labels of everything; a component's objects add theirs. */}}
{{- define "todo-app.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: todo-app
{{ include "todo-app.selector" . }}
{{- end -}}

{{- define "todo-app.selector" -}}
app.kubernetes.io/name: {{ include "todo-app.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* What each container of ours may do: nothing but run. */}}
{{- define "todo-app.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* On which nodes Pods of ours may be. */}}
{{- define "todo-app.nodes" -}}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "todo-app.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: {drop: [ALL]}
{{- end -}}

{{/* The Secret with DATABASE_URL: of the database in the chart, or yours. */}}
{{- define "todo-app.databaseSecret" -}}
{{ if .Values.postgresql.enabled }}{{ include "todo-app.fullname" . }}-postgresql{{ else }}{{ .Values.existingSecret }}{{ end }}
{{- end -}}

{{/* When the migration runs. The database of the chart does not exist before the first install. */}}
{{- define "todo-app.migrationHooks" -}}
{{ if .Values.postgresql.enabled }}post-install{{ else }}pre-install{{ end }},pre-upgrade
{{- end -}}

{{/* The secrets of one component that are environment: {root, name}. A sidecar reads its tokens at its
start, and so does the program. */}}
{{- define "todo-app.secretEnv" -}}
{{- $v := .root.Values -}}
- {name: SECRETS_DIR, value: /etc/todo/secrets}
{{- if and $v.dapr.enabled (ne .name "migrate") }}
- name: APP_API_TOKEN
  valueFrom: {secretKeyRef: {name: {{ $v.dapr.appTokenSecret }}, key: token}}
- name: DAPR_API_TOKEN
  valueFrom: {secretKeyRef: {name: {{ $v.dapr.apiTokenSecret }}, key: token}}
{{- end }}
{{- end -}}

{{/* Those that are files in SECRETS_DIR, and hold without a restart: {root, name}. */}}
{{- define "todo-app.secretFiles" -}}
{{- $v := .root.Values -}}
- secret:
    name: {{ include "todo-app.databaseSecret" .root }}
    items: [{key: DATABASE_URL, path: DATABASE_URL}]
{{- if and (not $v.dapr.enabled) (ne .name "migrate") }}
- secret:
    name: {{ $v.existingSecret }}
    optional: true
    items: [{key: APP_API_TOKEN, path: APP_API_TOKEN}]
{{- if and $v.kafka.brokers $v.kafka.saslMechanism }}
- secret:
    name: {{ $v.kafka.existingSecret }}
    items: [{key: username, path: KAFKA_SASL_USERNAME}, {key: password, path: KAFKA_SASL_PASSWORD}]
{{- end }}
{{- end }}
{{- if eq .name "email" }}
- secret:
    name: {{ $v.existingSecret }}
    optional: true
    items:
      {{- range $key := list "SMTP_URL" "SMTP_USERNAME" "SMTP_PASSWORD" }}
      - {key: {{ $key }}, path: {{ $key }}}
      {{- end }}
{{- end }}
{{- end -}}

{{/* The mount and the volume of SECRETS_DIR. */}}
{{- define "todo-app.secretMount" -}}
- {name: secrets, mountPath: /etc/todo/secrets, readOnly: true}
{{- end -}}

{{- define "todo-app.secretVolume" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources: {{- include "todo-app.secretFiles" . | trim | nindent 6 }}
{{- end -}}
