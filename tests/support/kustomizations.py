"""Kustomizations as people write them, drawn at random: a base of all sorts of objects, a layer between, an overlay."""

import json
import textwrap

from hypothesis import strategies as st

POD = """
metadata:
  labels: {app: web}
spec:
  serviceAccountName: runner
  initContainers:
  - name: prepare
    image: ghcr.io/acme/tool:1.0
    envFrom:
    - secretRef: {name: keys}
  containers:
  - name: app
    image: acme/app:1.2.3
    ports:
    - containerPort: 8080
      name: http
    - containerPort: 9090
      name: metrics
      protocol: TCP
    env:
    - name: MODE
      value: "on"
    - name: LEVEL
      valueFrom: {configMapKeyRef: {name: settings, key: level}}
    volumeMounts:
    - {name: config, mountPath: /etc/app}
  - name: side
    image: "registry.example.org:5000/side@sha256:0123456789abcdef"
    resources: {limits: {cpu: 100m, memory: 1Gi}}
  volumes:
  - name: config
    configMap: {name: settings, defaultMode: 0644}
  - name: keys
    secret: {secretName: keys}
  - name: data
    persistentVolumeClaim: {claimName: data}
"""
WORKLOAD = """
apiVersion: apps/v1
kind: {kind}
metadata:
  name: {name}
  labels: {{app: web, tier: front}}
  annotations: {{note: "yes"}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
{pod}
"""
OBJECTS = {
    "deployment": WORKLOAD.format(kind="Deployment", name="web", pod=textwrap.indent(POD.strip(), "    ")),
    "statefulset": WORKLOAD.format(kind="StatefulSet", name="store", pod=textwrap.indent(POD.strip(), "    ")).replace(
        "  replicas: 2", "  serviceName: web\n  volumeClaimTemplates:\n  - metadata: {name: data}\n    spec: {size: 1}"
    ),
    "cronjob": "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly}\nspec:\n  schedule: '0 1 * * *'\n"
    "  jobTemplate:\n    spec:\n      template:\n" + textwrap.indent(POD.strip(), "        "),
    "service": "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  selector: {app: web}\n  ports:\n"
    "  - {name: http, port: 80, targetPort: http}\n  - {name: dns, port: 53, protocol: UDP}\n  - {name: dns2, port: 53, protocol: TCP}\n",
    "settings": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, labels: {app: web}}\ndata:\n  level: '3'\n"
    "  file: |\n    a = 1\n      b = 2\n\n    c\n",
    "secret": "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\ntype: Opaque\nstringData: {password: hunter2}\n",
    "account": "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: runner}\nimagePullSecrets:\n- name: keys\n",
    "binding": "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: runner}\n"
    "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}\nsubjects:\n"
    "- {kind: ServiceAccount, name: runner}\n- {kind: ServiceAccount, name: default, namespace: other}\n",
    "role": "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader}\nrules:\n"
    "- apiGroups: ['']\n  resources: [configmaps]\n  resourceNames: [settings, keys, other]\n  verbs: [get]\n",
    "cluster-binding": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: all}\n"
    "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: all}\nsubjects:\n"
    "- {kind: ServiceAccount, name: runner, namespace: default}\n- {kind: User, name: somebody}\n",
    "cluster-role": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: all}\nrules: []\n",
    "ingress": "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\n  annotations:\n"
    "    nginx.ingress.kubernetes.io/auth-secret: keys\nspec:\n  tls:\n  - {hosts: [web.example.org], secretName: keys}\n"
    "  rules:\n  - host: web.example.org\n    http:\n      paths:\n      - path: /\n        pathType: Prefix\n"
    "        backend: {service: {name: web, port: {number: 80}}}\n",
    "autoscaler": "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec:\n"
    "  maxReplicas: 5\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n",
    "policy": "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web}\nspec:\n"
    "  podSelector: {matchLabels: {app: web}}\n  ingress:\n  - from:\n    - podSelector: {matchLabels: {app: web}}\n"
    "    - namespaceSelector: {}\n",
    "claim": "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec:\n  accessModes: [ReadWriteOnce]\n"
    "  resources: {requests: {storage: 1Gi}}\n",
    "budget": "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: web}\nspec:\n  minAvailable: 50%\n"
    "  selector: {matchLabels: {app: web}}\n",
    "definition": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.acme.io}\n"
    "spec:\n  group: acme.io\n  scope: Namespaced\n  names: {kind: Widget, plural: widgets}\n  versions: []\n",
    "custom": "apiVersion: acme.io/v1\nkind: Widget\nmetadata: {name: one, namespace: apart}\nspec:\n  parts:\n"
    "  - {name: a, size: 1.5}\n  - {name: b}\n  containers:\n  - {name: x, image: acme/app}\n  secretName: keys\n",
    "namespace": "apiVersion: v1\nkind: Namespace\nmetadata: {name: home}\n",
    "hooks": "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: hooks}\n"
    "webhooks:\n- name: a.acme.io\n  clientConfig: {service: {name: web, namespace: default, path: /a}}\n",
}
PODS = ("deployment", "statefulset")
POD_PATCHES = (
    {"containers": [{"name": "app", "image": "acme/app:2"}]},
    {"containers": [{"name": "new", "image": "acme/new"}, {"name": "side", "args": ["-v"]}]},
    {"containers": [{"name": "side", "$patch": "delete"}]},
    {"containers": [{"name": "app", "env": [{"name": "MODE", "value": "off"}, {"name": "MORE", "value": "1"}]}]},
    {"containers": [{"name": "app", "env": [{"name": "LEVEL", "$patch": "delete"}]}]},
    {"containers": [{"name": "app", "ports": [{"containerPort": 8443, "name": "tls"}]}]},
    {"containers": [{"name": "app", "ports": [{"containerPort": 9090, "protocol": "TCP", "name": "prom"}]}]},
    {"containers": [{"name": "app", "ports": [{"containerPort": 8080, "protocol": "UDP"}]}]},
    {"containers": [{"name": "app", "volumeMounts": [{"mountPath": "/etc/app", "readOnly": True}]}]},
    {"containers": [{"name": "app", "resources": {"limits": {"cpu": "1"}}}]},
    {"volumes": [{"name": "config", "configMap": None, "emptyDir": {}}]},
    {"volumes": [{"name": "extra", "configMap": {"name": "generated"}}]},
    {"serviceAccountName": None, "hostNetwork": True},
    {"tolerations": [{"key": "a", "operator": "Exists"}], "nodeSelector": {"disk": "ssd"}},
    {"securityContext": {"$patch": "delete"}},
    {"securityContext": {"runAsUser": 1000, "fsGroup": 0}},
)
names = st.sampled_from(["blue", "eu-west", "x1", "team.a"])
values = st.sampled_from(["blue", "true", "1", "on", "1.50", "a b", "x: y", "2026-01-01", "", "~", "ä", "#c", "0x1f"])
keys = st.sampled_from(["app", "env", "acme.io/team", "tier"])
pairs = st.dictionaries(keys, values, min_size=1, max_size=3)
OPERATIONS = (
    {"op": "replace", "path": "/spec/replicas", "value": 7},
    {"op": "add", "path": "/metadata/labels/added", "value": "yes"},
    {"op": "add", "path": "/metadata/annotations/acme.io~1note", "value": "1e3"},
    {"op": "remove", "path": "/spec/template/spec/containers/0/env/1"},
    {"op": "add", "path": "/spec/template/spec/containers/0/env/0", "value": {"name": "FIRST", "value": "1"}},
    {"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "last", "image": "acme/app"}},
    {"op": "replace", "path": "/spec/template/spec/volumes/0", "value": {"name": "config", "emptyDir": {}}},
    {"op": "remove", "path": "/spec/template/spec/serviceAccountName"},
    {"op": "add", "path": "/spec/list", "value": [1, 2.5, "3", True, {"a": {}}]},
)
TARGETS = (
    {"kind": "Deployment"},
    {"kind": "Deployment", "name": "web"},
    {"kind": "Deployment|StatefulSet"},
    {"name": "we.*"},
    {"group": "apps", "version": "v1"},
    {"labelSelector": "app=web"},
    {"labelSelector": "app=web,tier!=back", "kind": "StatefulSet"},
    {"annotationSelector": "note"},
    {"namespace": "apart"},
    {"kind": "ConfigMap", "name": "(settings|generated)"},
)


@st.composite
def patches(draw):
    """An entry of `patches`."""
    target = draw(st.sampled_from([None, *TARGETS]))
    if draw(st.booleans()):
        content = draw(st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=3))
        target = target or {"kind": "Deployment"}
    else:
        content = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
        if draw(st.booleans()):
            content["metadata"] |= {"labels": draw(pairs), "annotations": draw(pairs)}
        if draw(st.booleans()):
            content["spec"] = {"replicas": draw(st.sampled_from([1, 0, None]))}
        elif target is None or target.get("kind") in {"Deployment", "Deployment|StatefulSet"}:
            content["spec"] = {"template": {"spec": draw(st.sampled_from(POD_PATCHES))}}
        if draw(st.integers(0, 15)) == 0:
            content = content | {"$patch": "delete"}
    return {"patch": json.dumps(content)} | ({"target": target} if target else {})


@st.composite
def generators(draw, kind):
    """An entry of `configMapGenerator` or `secretGenerator`."""
    entry = {"name": draw(st.sampled_from(["generated", "settings" if kind == "ConfigMap" else "keys"]))}
    if draw(st.booleans()):
        entry["literals"] = draw(st.lists(st.sampled_from(["a=1", "b='x y'", 'c="<&>"', "d=ä"]), unique=True))
    if draw(st.booleans()):
        entry["files"] = draw(st.sampled_from([["file.txt"], ["name.ini=file.txt"], ["file.txt", "other.txt"]]))
    if draw(st.booleans()):
        entry["envs"] = ["vars.env"]
    behavior = draw(st.sampled_from([None, "create"] if entry["name"] == "generated" else ["merge", "replace"]))
    entry |= {"behavior": behavior} if behavior else {}
    if draw(st.integers(0, 3)) == 0:
        options = {
            "disableNameSuffixHash": True,
            "labels": {"made": "here"},
            "annotations": {"a": "b"},
            "immutable": True,
        }
        names_ = draw(st.sets(st.sampled_from(sorted(options)), min_size=1))
        entry["options"] = {name: options[name] for name in names_}
    if kind == "Secret" and draw(st.booleans()):
        entry["type"] = "kubernetes.io/basic-auth"
    return entry


FILES = {
    "file.txt": "first\n\tsecond: <&>\n\n  third  \n",
    "other.txt": "one line without an end",
    "vars.env": "# comment\nONE=1\n  TWO=2 \nEMPTY\nQUOTED='x'\n",
}


@st.composite
def layers(draw, resources):
    """A kustomization that takes in `resources`."""
    found = {"resources": resources} if resources else {}
    made = {
        "namespace": names.filter(lambda name: "." not in name),
        "namePrefix": st.sampled_from(["pre-", "a."]),
        "nameSuffix": st.sampled_from(["-v2", "-x"]),
        "labels": st.lists(
            st.builds(
                lambda pairs, selectors, templates: (
                    {"pairs": pairs}
                    | ({"includeSelectors": selectors} if selectors is not None else {})
                    | ({"includeTemplates": templates} if templates is not None else {})
                ),
                pairs,
                st.sampled_from([None, True, False]),
                st.sampled_from([None, True, False]),
            ),
            min_size=1,
            max_size=2,
        ),
        "commonLabels": pairs,
        "commonAnnotations": pairs,
        "images": st.lists(
            st.sampled_from(
                [
                    {"name": "acme/app", "newTag": "3.0"},
                    {"name": "acme/app", "newName": "mirror.local/app"},
                    {"name": "ghcr.io/acme/tool", "digest": "sha256:abc123"},
                    {"name": "registry.example.org:5000/side", "newTag": "v1", "digest": "sha256:99"},
                    {"name": "acme/app", "tagSuffix": "-fast"},
                    {"name": "acme/new", "newName": "acme/app", "newTag": "9"},
                ]
            ),
            min_size=1,
            max_size=3,
        ),
        "replicas": st.just([{"name": "web", "count": 4}]),
        "patches": st.lists(patches(), min_size=1, max_size=3),
        "configMapGenerator": st.lists(generators("ConfigMap"), min_size=1, max_size=2),
        "secretGenerator": st.lists(generators("Secret"), min_size=1, max_size=1),
        "generatorOptions": st.sampled_from([{"disableNameSuffixHash": True}, {"labels": {"by": "all"}}]),
    }
    for field in draw(st.lists(st.sampled_from(sorted(made)), unique=True, min_size=not found, max_size=5)):
        found[field] = draw(made[field])
    return found


@st.composite
def trees(draw):
    """Files of a kustomization in `overlay`, with a base and what is between."""
    chosen = draw(st.lists(st.sampled_from(sorted(OBJECTS)), min_size=1, max_size=8, unique=True))
    if draw(st.integers(0, 3)):
        chosen = sorted({*chosen, "deployment", "settings"})
    files = {f"base/{name}.yaml": OBJECTS[name] for name in chosen}
    written = {"base": draw(layers([f"{name}.yaml" for name in chosen]))}
    below = "../base"
    if draw(st.booleans()):
        written["middle"] = draw(layers(["../base"]))
        below = "../middle"
    written["overlay"] = draw(layers([below]))
    if draw(st.booleans()):
        component = draw(layers([]))
        written["component"] = component | {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
        written["overlay"]["components"] = ["../component"]
    for folder, kustomization in written.items():
        files[f"{folder}/kustomization.yaml"] = json.dumps(kustomization)
        files |= {f"{folder}/{name}": text for name, text in FILES.items()}
    return {path: text.encode() for path, text in files.items()}
