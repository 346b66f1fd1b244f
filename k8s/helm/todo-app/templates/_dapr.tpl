{{/* What Dapr's injector is told: {root, component}. */}}
{{- define "todo-app.daprAnnotations" -}}
{{- $d := .root.Values.dapr -}}
dapr.io/enabled: "true"
dapr.io/app-id: {{ .component.appId }}
dapr.io/app-port: {{ .component.port | quote }}
dapr.io/app-protocol: http
dapr.io/config: {{ $d.config }}
dapr.io/http-port: {{ $d.httpPort | quote }}
dapr.io/log-level: {{ $d.logLevel }}
dapr.io/log-as-json: "true"
dapr.io/enable-metrics: "true"
dapr.io/metrics-port: "9090"
# The sidecar's API is its own pod's only, and each knows the other by a token. Bulk needs no word
# here: the workers ask for it at GET /dapr/subscribe.
dapr.io/sidecar-listen-addresses: "[::1],127.0.0.1"
dapr.io/api-token-secret: {{ $d.apiTokenSecret }}
dapr.io/app-token-secret: {{ $d.appTokenSecret }}
# It reads the components' secrets by the Role of rbac.yaml; the app has no part in that.
dapr.io/volume-mounts: kube-api-access:/var/run/secrets/kubernetes.io/serviceaccount
dapr.io/disable-builtin-k8s-secret-store: "true"
# While the app is not ready the sidecar takes nothing from the broker for it.
dapr.io/enable-app-health-check: "true"
dapr.io/app-health-check-path: /readyz
dapr.io/app-health-probe-interval: "3"
dapr.io/app-health-probe-timeout: "500"
dapr.io/app-health-threshold: "3"
dapr.io/graceful-shutdown-seconds: {{ $d.gracefulShutdownSeconds | quote }}
dapr.io/block-shutdown-duration: 5s
dapr.io/sidecar-cpu-request: {{ $d.sidecar.cpuRequest }}
dapr.io/sidecar-memory-request: {{ $d.sidecar.memoryRequest }}
dapr.io/sidecar-cpu-limit: {{ $d.sidecar.cpuLimit }}
dapr.io/sidecar-memory-limit: {{ $d.sidecar.memoryLimit }}
{{- end -}}

{{/* The Secrets that Dapr's components name. */}}
{{- define "todo-app.daprSecrets" -}}
{{- $v := .Values -}}
{{- list (include "todo-app.databaseSecret" .) $v.kafka.existingSecret $v.kafka.caSecret $v.dapr.redisSecret | compact | uniq | toJson -}}
{{- end -}}
