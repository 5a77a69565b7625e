"""Hold the types of the built-in kinds in the notation of `schema.Types`; kinds not named here are open.

Only what merging, defaults and the refusal of unknown fields need; rare volume sources and the like are `any`.
"""

from __future__ import annotations

from functools import cache

from services.kubesim.schema import Shape, Types

COMMON = """
Meta: name:s namespace:s generateName:s uid:s resourceVersion:s generation:i creationTimestamp:s deletionTimestamp:s deletionGracePeriodSeconds:i selfLink:s labels:{s} annotations:{s} finalizers:<s> ownerReferences:[uid|OwnerReference] managedFields:any
OwnerReference: apiVersion:s kind:s name:s uid:s controller:b blockOwnerDeletion:b
Open...: apiVersion:s kind:s metadata:Meta
Selector: matchLabels:{s} matchExpressions:[Requirement]
Requirement: key:s operator:s values:[s]
Ref: name:s namespace:s kind:s apiGroup:s apiVersion:s uid:s resourceVersion:s fieldPath:s
KeyRef: name:s key:s optional:b
Template: metadata:Meta spec:PodSpec
PodSpec: activeDeadlineSeconds:i affinity:Affinity automountServiceAccountToken:b containers:[name|Container] dnsConfig:DnsConfig dnsPolicy:s="ClusterFirst" enableServiceLinks:b ephemeralContainers:[name|any] hostAliases:[ip|HostAlias] hostIPC:b hostNetwork:b hostPID:b hostUsers:b hostname:s hostnameOverride:s imagePullSecrets:[name|LocalRef] initContainers:[name|Container] nodeName:s nodeSelector:!{s} os:any overhead:{q} preemptionPolicy:s priority:i priorityClassName:s readinessGates:[any] resourceClaims:[name|any] resources:Resources restartPolicy:s="Always" runtimeClassName:s schedulerName:s="default-scheduler" schedulingGates:[name|any] securityContext:PodSecurity={} serviceAccount:s serviceAccountName:s setHostnameAsFQDN:b shareProcessNamespace:b subdomain:s terminationGracePeriodSeconds:i=30 tolerations:[Toleration] topologySpreadConstraints:[topologyKey,whenUnsatisfiable|Spread] volumes:[name|Volume] schedulingGroup:any
LocalRef: name:s
HostAlias: ip:s hostnames:[s]
DnsConfig: nameservers:[s] options:[any] searches:[s]
Affinity: nodeAffinity:any podAffinity:any podAntiAffinity:any
Toleration: key:s operator:s value:s effect:s tolerationSeconds:i
Spread: labelSelector:!Selector matchLabelKeys:[s] maxSkew:i minDomains:i nodeAffinityPolicy:s nodeTaintsPolicy:s topologyKey:s whenUnsatisfiable:s
PodSecurity: appArmorProfile:any fsGroup:i fsGroupChangePolicy:s runAsGroup:i runAsNonRoot:b runAsUser:i seLinuxOptions:any seLinuxChangePolicy:s seccompProfile:any supplementalGroups:[i] supplementalGroupsPolicy:s sysctls:[any] windowsOptions:any
Container: args:[s] command:[s] env:[name|EnvVar] envFrom:[EnvFrom] image:s imagePullPolicy:s="IfNotPresent" lifecycle:any livenessProbe:Probe name:s ports:[containerPort,protocol|ContainerPort] readinessProbe:Probe resizePolicy:[any] resources:Resources={} restartPolicy:s restartPolicyRules:[any] securityContext:ContainerSecurity startupProbe:Probe stdin:b stdinOnce:b terminationMessagePath:s="/dev/termination-log" terminationMessagePolicy:s="File" tty:b volumeDevices:[devicePath|any] volumeMounts:[mountPath|Mount] workingDir:s
EnvVar: name:s value:s valueFrom:EnvSource
EnvSource: configMapKeyRef:!KeyRef fieldRef:!FieldRef fileKeyRef:any resourceFieldRef:!any secretKeyRef:!KeyRef
FieldRef: apiVersion:s fieldPath:s
EnvFrom: configMapRef:KeyRef prefix:s secretRef:KeyRef
Probe: exec:Exec failureThreshold:i=3 grpc:any httpGet:HttpGet initialDelaySeconds:i periodSeconds:i=10 successThreshold:i=1 tcpSocket:TcpSocket terminationGracePeriodSeconds:i timeoutSeconds:i=1
Exec: command:[s]
HttpGet: host:s httpHeaders:[any] path:s port:x scheme:s="HTTP"
TcpSocket: host:s port:x
ContainerPort: containerPort:i hostIP:s hostPort:i name:s protocol:s="TCP"
Resources: claims:[name|any] limits:{q} requests:{q}
ContainerSecurity: allowPrivilegeEscalation:b appArmorProfile:any capabilities:Capabilities privileged:b procMount:s readOnlyRootFilesystem:b runAsGroup:i runAsNonRoot:b runAsUser:i seLinuxOptions:any seccompProfile:any windowsOptions:any
Capabilities: add:[s] drop:[s]
Mount: mountPath:s mountPropagation:s name:s readOnly:b recursiveReadOnly:s subPath:s subPathExpr:s
Volume: awsElasticBlockStore:any azureDisk:any azureFile:any cephfs:any cinder:any configMap:ConfigVolume csi:any downwardAPI:any emptyDir:EmptyDir ephemeral:any fc:any flexVolume:any flocker:any gcePersistentDisk:any gitRepo:any glusterfs:any hostPath:HostPath image:any iscsi:any name:s nfs:any persistentVolumeClaim:ClaimVolume photonPersistentDisk:any portworxVolume:any projected:any quobyte:any rbd:any scaleIO:any secret:SecretVolume storageos:any vsphereVolume:any
ConfigVolume: defaultMode:i=420 items:[any] name:s optional:b
SecretVolume: defaultMode:i=420 items:[any] optional:b secretName:s
EmptyDir: medium:s sizeLimit:q
HostPath: path:s type:s=""
ClaimVolume: claimName:s readOnly:b
LabelSelector: matchLabels:{s} matchExpressions:[Requirement]
"""
KINDS = """
ConfigMap: apiVersion:s kind:s metadata:Meta data:{s} binaryData:{y} immutable:b
Secret: apiVersion:s kind:s metadata:Meta data:{y} stringData:{s} immutable:b type:s="Opaque"
Namespace: apiVersion:s kind:s metadata:Meta spec:NamespaceSpec={} status:any
NamespaceSpec: finalizers:[s]
ServiceAccount: apiVersion:s kind:s metadata:Meta automountServiceAccountToken:b imagePullSecrets:[LocalRef] secrets:[name|Ref]
Service: apiVersion:s kind:s metadata:Meta spec:ServiceSpec status:any
ServiceSpec: allocateLoadBalancerNodePorts:b clusterIP:s clusterIPs:[s] externalIPs:[s] externalName:s externalTrafficPolicy:s healthCheckNodePort:i internalTrafficPolicy:s ipFamilies:[s] ipFamilyPolicy:s loadBalancerClass:s loadBalancerIP:s loadBalancerSourceRanges:[s] ports:[port,protocol|ServicePort] publishNotReadyAddresses:b selector:!{s} sessionAffinity:s="None" sessionAffinityConfig:any trafficDistribution:s type:s="ClusterIP"
ServicePort: appProtocol:s name:s nodePort:i port:i protocol:s="TCP" targetPort:x
Deployment: apiVersion:s kind:s metadata:Meta spec:DeploymentSpec status:any
DeploymentSpec: minReadySeconds:i paused:b progressDeadlineSeconds:i=600 replicas:i=1 revisionHistoryLimit:i=10 selector:!Selector strategy:Strategy={"type":"RollingUpdate"} template:Template
Strategy: rollingUpdate:Rolling type:s="RollingUpdate"
Rolling: maxSurge:x maxUnavailable:x partition:i
StatefulSet: apiVersion:s kind:s metadata:Meta spec:StatefulSetSpec status:any
StatefulSetSpec: minReadySeconds:i ordinals:any persistentVolumeClaimRetentionPolicy:Retention={} podManagementPolicy:s="OrderedReady" replicas:i=1 revisionHistoryLimit:i=10 selector:!Selector serviceName:s template:Template updateStrategy:Strategy={"type":"RollingUpdate"} volumeClaimTemplates:[any]
Retention: whenDeleted:s="Retain" whenScaled:s="Retain"
DaemonSet: apiVersion:s kind:s metadata:Meta spec:DaemonSetSpec status:any
DaemonSetSpec: minReadySeconds:i revisionHistoryLimit:i=10 selector:!Selector template:Template updateStrategy:Strategy={"type":"RollingUpdate"}
ReplicaSet: apiVersion:s kind:s metadata:Meta spec:ReplicaSetSpec status:any
ReplicaSetSpec: minReadySeconds:i replicas:i=1 selector:!Selector template:Template
ReplicationController: apiVersion:s kind:s metadata:Meta spec:ControllerSpec status:any
ControllerSpec: minReadySeconds:i replicas:i=1 selector:!{s} template:Template
Pod: apiVersion:s kind:s metadata:Meta spec:PodSpec status:any
Job: apiVersion:s kind:s metadata:Meta spec:JobSpec status:any
JobSpec: activeDeadlineSeconds:i backoffLimit:i=6 backoffLimitPerIndex:i completionMode:s="NonIndexed" completions:i=1 managedBy:s manualSelector:b=false maxFailedIndexes:i parallelism:i=1 podFailurePolicy:any podReplacementPolicy:s="TerminatingOrFailed" selector:!Selector successPolicy:any suspend:b=false template:Template ttlSecondsAfterFinished:i
CronJob: apiVersion:s kind:s metadata:Meta spec:CronJobSpec status:any
CronJobSpec: concurrencyPolicy:s="Allow" failedJobsHistoryLimit:i=1 jobTemplate:JobTemplate schedule:s startingDeadlineSeconds:i successfulJobsHistoryLimit:i=3 suspend:b=false timeZone:s
JobTemplate: metadata:Meta spec:JobSpecOfCron
JobSpecOfCron: activeDeadlineSeconds:i backoffLimit:i backoffLimitPerIndex:i completionMode:s completions:i managedBy:s manualSelector:b maxFailedIndexes:i parallelism:i podFailurePolicy:any podReplacementPolicy:s selector:!Selector successPolicy:any suspend:b template:Template ttlSecondsAfterFinished:i
Ingress: apiVersion:s kind:s metadata:Meta spec:IngressSpec status:any
IngressSpec: defaultBackend:any ingressClassName:s rules:[any] tls:[IngressTls]
IngressTls: hosts:[s] secretName:s
NetworkPolicy: apiVersion:s kind:s metadata:Meta spec:NetworkPolicySpec
NetworkPolicySpec: egress:[any] ingress:[any] podSelector:!Selector policyTypes:[s]
PodDisruptionBudget: apiVersion:s kind:s metadata:Meta spec:BudgetSpec status:any
BudgetSpec: maxUnavailable:x minAvailable:x selector:!Selector unhealthyPodEvictionPolicy:s
HorizontalPodAutoscaler: apiVersion:s kind:s metadata:Meta spec:ScalerSpec status:any
ScalerSpec: behavior:any maxReplicas:i metrics:[any] minReplicas:i=1 scaleTargetRef:Ref targetCPUUtilizationPercentage:i
PersistentVolumeClaim: apiVersion:s kind:s metadata:Meta spec:ClaimSpec status:any
ClaimSpec: accessModes:[s] dataSource:any dataSourceRef:any resources:Resources selector:!Selector storageClassName:s volumeAttributesClassName:s volumeMode:s="Filesystem" volumeName:s
Role: apiVersion:s kind:s metadata:Meta rules:[Rule]
ClusterRole: apiVersion:s kind:s metadata:Meta rules:[Rule] aggregationRule:any
Rule: apiGroups:[s] nonResourceURLs:[s] resourceNames:[s] resources:[s] verbs:[s]
RoleBinding: apiVersion:s kind:s metadata:Meta roleRef:!Ref subjects:[Ref]
ClusterRoleBinding: apiVersion:s kind:s metadata:Meta roleRef:!Ref subjects:[Ref]
Lease: apiVersion:s kind:s metadata:Meta spec:LeaseSpec
LeaseSpec: acquireTime:s holderIdentity:s leaseDurationSeconds:i leaseTransitions:i preferredHolder:s renewTime:s strategy:s
PriorityClass: apiVersion:s kind:s metadata:Meta description:s globalDefault:b preemptionPolicy:s="PreemptLowerPriority" value:i
StorageClass: apiVersion:s kind:s metadata:Meta allowVolumeExpansion:b allowedTopologies:[any] mountOptions:[s] parameters:{s} provisioner:s reclaimPolicy:s="Delete" volumeBindingMode:s="Immediate"
LimitRange: apiVersion:s kind:s metadata:Meta spec:any
ResourceQuota: apiVersion:s kind:s metadata:Meta spec:QuotaSpec status:any
QuotaSpec: hard:{q} scopeSelector:any scopes:[s]
MutatingWebhookConfiguration: apiVersion:s kind:s metadata:Meta webhooks:[name|Webhook]
ValidatingWebhookConfiguration: apiVersion:s kind:s metadata:Meta webhooks:[name|Webhook]
Webhook: admissionReviewVersions:[s] clientConfig:WebhookClient failurePolicy:s="Fail" matchConditions:[name|any] matchPolicy:s="Equivalent" name:s namespaceSelector:!Selector={} objectSelector:!Selector={} reinvocationPolicy:s rules:[any] sideEffects:s timeoutSeconds:i=10
WebhookClient: caBundle:y service:any url:s
CustomResourceDefinition: apiVersion:s kind:s metadata:Meta spec:CrdSpec status:any
CrdSpec: conversion:any group:s names:CrdNames preserveUnknownFields:b scope:s versions:[CrdVersion] version:s validation:any subresources:any additionalPrinterColumns:[any]
CrdVersion: additionalPrinterColumns:[any] deprecated:b deprecationWarning:s name:s schema:any selectableFields:[any] served:b storage:b subresources:any
CrdNames: categories:[s] kind:s listKind:s plural:s shortNames:[s] singular:s
"""
TYPES = Types(COMMON.strip() + "\n" + KINDS.strip())
META = TYPES.shape("Meta")
# The new rolling-update numbers stand only where a Deployment rolls.
ROLLING = {"maxSurge": "25%", "maxUnavailable": "25%"}


@cache
def shape_of(kind: str) -> Shape:
    """Return the shape of a built-in kind; kinds without a written type take any field."""
    return TYPES.shape(kind if kind in TYPES else "Open")
