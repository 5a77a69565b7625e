"""Which workloads a failed object may affect."""

from services.applier.affected import affected
from services.applier.state import Wanted
from shared.core.canonical import encode
from shared.core.objects import ObjectKey

PODS = {
    "serviceAccountName": "runner",
    "imagePullSecrets": [{"name": "registry"}],
    "containers": [
        {
            "name": "c",
            "envFrom": [{"configMapRef": {"name": "settings"}}],
            "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "login", "key": "p"}}}],
        }
    ],
    "volumes": [
        {"name": "a", "persistentVolumeClaim": {"claimName": "disk"}},
        {"name": "b", "projected": {"sources": [{"secret": {"name": "cert"}}, {"configMap": {"name": "page"}}]}},
        {"name": "c", "secret": {"secretName": "key"}},
    ],
}
CRON = {"jobTemplate": {"spec": {"template": {"spec": PODS}}}}


def wanted(group, kind, spec, namespace="web", name="w"):
    return Wanted(ObjectKey(group, kind, namespace, name), "v1", encode({"spec": spec}), "")


def core(kind, name, namespace="web"):
    return ObjectKey("", kind, namespace, name)


def test_a_workload_is_told_for_everything_it_names():
    """E10: wherever its pods are described."""
    named = [
        core("ServiceAccount", "runner"),
        core("Secret", "registry"),
        core("ConfigMap", "settings"),
        core("Secret", "login"),
        core("PersistentVolumeClaim", "disk"),
        core("Secret", "cert"),
        core("ConfigMap", "page"),
        core("Secret", "key"),
    ]
    for group, kind, spec in (("apps", "Deployment", {"template": {"spec": PODS}}), ("batch", "CronJob", CRON)):
        lines = affected(named, [wanted(group, kind, spec)])

        assert len(lines) == len(named)
        assert all(line.startswith(f"{group}/{kind}:web/w may be affected") for line in lines)


def test_what_is_elsewhere_or_of_another_kind_affects_nobody():
    pod = wanted("", "Pod", PODS)

    assert affected([core("ConfigMap", "settings", "other"), core("Secret", "settings")], [pod]) == []
    assert affected([core("ConfigMap", "settings")], [wanted("acme.io", "Thing", {"template": PODS})]) == []
    assert affected([ObjectKey("acme.io", "ConfigMap", "web", "settings")], [pod]) == []
