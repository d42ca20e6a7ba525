{{- define "hybridjob.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* Short enough for the longest suffix, -policy-admin. */ -}}
{{- define "hybridjob.fullname" -}}
{{- $name := include "hybridjob.name" . -}}
{{- $default := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- default $default .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "hybridjob.serviceAccount" -}}
{{- default (include "hybridjob.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "hybridjob.selector" -}}
app.kubernetes.io/name: {{ include "hybridjob.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "hybridjob.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "hybridjob.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- /* The reference of an image: (list $ .Values.image). What it leaves empty it takes from .Values.image. */ -}}
{{- define "hybridjob.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $name := printf "%s/%s" (default $root.Values.image.registry $image.registry) $image.repository -}}
{{- if $image.digest -}}
{{ $name }}@{{ $image.digest }}
{{- else -}}
{{ $name }}:{{ coalesce $image.tag $root.Values.image.tag $root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* What the restricted Pod Security Standard asks of a pod, and of its containers. */ -}}
{{- define "hybridjob.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "hybridjob.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* The priority class of the operator or the solver: (list $ "operator" .Values.priorityClassName). */ -}}
{{- define "hybridjob.priorityClass" -}}
{{- $root := index . 0 -}}
{{- $created := $root.Values.priorityClasses.create | ternary (printf "%s-%s" (include "hybridjob.fullname" $root) (index . 1)) "" -}}
{{- default $created (index . 2) -}}
{{- end -}}

{{- /* Where jobs of the release's own may run: the release's namespace if it is served, or else the first one that is. */ -}}
{{- define "hybridjob.testNamespace" -}}
{{- $served := default (list .Release.Namespace) .Values.namespaces -}}
{{- has .Release.Namespace $served | ternary .Release.Namespace (first $served) -}}
{{- end -}}
