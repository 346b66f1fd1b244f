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

{{- define "todo-app.databaseEnv" -}}
- name: DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ include "todo-app.databaseSecret" . }}, key: DATABASE_URL}}
{{- end -}}

{{/* When the migration runs. The database of the chart does not exist before the first install. */}}
{{- define "todo-app.migrationHooks" -}}
{{ if .Values.postgresql.enabled }}post-install{{ else }}pre-install{{ end }},pre-upgrade
{{- end -}}

{{/* The secrets of one component: {root, name}. */}}
{{- define "todo-app.secretEnv" -}}
{{- $v := .root.Values -}}
{{ include "todo-app.databaseEnv" .root }}
{{- if $v.dapr.enabled }}
- name: APP_API_TOKEN
  valueFrom: {secretKeyRef: {name: {{ $v.dapr.appTokenSecret }}, key: token}}
- name: DAPR_API_TOKEN
  valueFrom: {secretKeyRef: {name: {{ $v.dapr.apiTokenSecret }}, key: token}}
{{- else }}
- name: APP_API_TOKEN
  valueFrom: {secretKeyRef: {name: {{ $v.existingSecret }}, key: APP_API_TOKEN, optional: true}}
{{- end }}
{{- if and (not $v.dapr.enabled) $v.kafka.brokers $v.kafka.saslMechanism }}
- name: KAFKA_SASL_USERNAME
  valueFrom: {secretKeyRef: {name: {{ $v.kafka.existingSecret }}, key: username}}
- name: KAFKA_SASL_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $v.kafka.existingSecret }}, key: password}}
{{- end }}
{{- if eq .name "email" }}
- name: SMTP_URL
  valueFrom: {secretKeyRef: {name: {{ $v.existingSecret }}, key: SMTP_URL, optional: true}}
- name: SMTP_USERNAME
  valueFrom: {secretKeyRef: {name: {{ $v.existingSecret }}, key: SMTP_USERNAME, optional: true}}
- name: SMTP_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $v.existingSecret }}, key: SMTP_PASSWORD, optional: true}}
{{- end }}
{{- end -}}
