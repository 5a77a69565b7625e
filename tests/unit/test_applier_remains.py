"""What keeps a namespace from being deleted (F8)."""

import pytest

from services.applier.remains import is_system_made


@pytest.mark.parametrize(
    ("kind", "metadata", "system"),
    [
        ("ServiceAccount", {"name": "default"}, True),
        ("ConfigMap", {"name": "kube-root-ca.crt"}, True),
        ("Secret", {"name": "t", "annotations": {"kubernetes.io/service-account.name": "default"}}, True),
        ("Pod", {"name": "p", "ownerReferences": [{"kind": "ReplicaSet", "controller": True}]}, True),
        ("Pod", {"name": "p", "ownerReferences": [{"kind": "Owner"}]}, False),
        ("ConfigMap", {"name": "default"}, False),
        ("PersistentVolumeClaim", {"name": "v", "labels": {"towline.dev/agent": "c1"}}, False),
    ],
)
def test_only_what_the_system_made_goes_along_unasked_f8(kind, metadata, system):
    assert is_system_made(metadata, kind) is system
