"""What is applied: ConfigMaps of 0.6 kB, and a mixture as applications have it."""

FILLER = "x" * 400


def config_maps(namespace, count, text="first"):
    return [config_map(namespace, number, text) for number in range(count)]


def config_map(namespace, number, text="first"):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"o-{number}", "namespace": namespace, "labels": {"app": f"app-{number % 50}"}},
        "data": {"text": text, "filler": FILLER},
    }


def mixed(namespace, count):
    """Return applications of eight objects each."""
    applications = [application(namespace, f"app-{number}") for number in range(count // 8)]
    return [each for application in applications for each in application]


def application(namespace, name):
    metadata, labels = {"name": name, "namespace": namespace, "labels": {"app": name}}, {"app": name}
    pod = {
        "serviceAccountName": name,
        "containers": [
            {
                "name": "main",
                "image": "registry.invalid/app:1",
                "env": [{"name": "MODE", "value": "production"}],
                "envFrom": [{"configMapRef": {"name": name}}],
                "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
            }
        ],
    }
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    account = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    # No replicas: pods are the work of others, and would be measured with it.
    deployment = {"replicas": 0, "selector": {"matchLabels": labels}}
    return [
        _thing("v1", "ConfigMap", metadata, data={"text": "first", "filler": FILLER}),
        _thing("v1", "Secret", metadata, data={"password": "c2VjcmV0"}),
        _thing("v1", "ServiceAccount", metadata),
        _thing("v1", "Service", metadata, spec={"selector": labels, "ports": [{"port": 80, "protocol": "TCP"}]}),
        _thing(
            "apps/v1",
            "Deployment",
            metadata,
            spec={**deployment, "template": {"metadata": {"labels": labels}, "spec": pod}},
        ),
        _thing(
            "rbac.authorization.k8s.io/v1",
            "Role",
            metadata,
            rules=[{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
        ),
        _thing("rbac.authorization.k8s.io/v1", "RoleBinding", metadata, roleRef=role, subjects=[account]),
        _thing("networking.k8s.io/v1", "NetworkPolicy", metadata, spec={"podSelector": {"matchLabels": labels}}),
    ]


def _thing(api_version, kind, metadata, **fields):
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}
