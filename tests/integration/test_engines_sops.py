"""An object that SOPS encrypted brings the file that it was made of."""

import pytest

from services.renderer.engines.originals import Originals
from services.renderer.finish import Piece
from shared.errors import FindingsError
from tests.support.rendering import findings, kustomize
from tests.support.sops import by_age

FILES = {"a.yaml": b"kind: Secret\nsops: {mac: ENC[one]}\n", "b.yaml": b"kind: Secret\nsops: {mac: ENC[two]}\n"}


def made(mac, *, version="v1", file=""):
    return Piece({"apiVersion": version, "kind": "Secret", "metadata": {"name": "a"}, "sops": {"mac": mac}}, file)


def test_the_file_is_found_by_its_mac_whatever_the_engine_says():
    found = Originals(FILES)([made("ENC[two]"), made("ENC[one]", file="a.yaml"), Piece({"kind": "ConfigMap"})])

    assert [each.manifest.get("sops") for each in found] == [
        {"file": "b.yaml", "text": FILES["b.yaml"].decode()},
        {"file": "a.yaml", "text": FILES["a.yaml"].decode()},
        None,
    ]


def test_an_object_whose_file_is_not_there_is_an_error():
    with pytest.raises(FindingsError) as refused:
        Originals(FILES)([made("ENC[three]"), made("ENC[four]")])

    assert [each.code for each in refused.value.findings] == ["render.sops", "render.sops"]
    assert "Secret a is encrypted by SOPS" in refused.value.findings[0].message


def test_what_an_operator_in_the_cluster_opens_stays_as_it_is():
    piece = made("ENC[three]", version="isindir.github.com/v1alpha3")

    assert Originals(FILES)([piece]) == [piece]


@pytest.mark.parametrize(
    ("name", "kind"), [("app.env", "files"), ("app.json", "files"), ("app.bin", "files"), ("app.env", "envs")]
)
async def test_a_generator_of_an_encrypted_file_is_refused_by_name(engines, sops, age_key, name, kind):
    text = {"app.env": "USER=admin\nPASSWORD=x\n", "app.json": '{"a": "b"}', "app.bin": "some bytes"}[name]
    files = {
        "kustomization.yaml": f"secretGenerator: [{{name: app, {kind}: [{name}]}}]\n",
        name: sops.encrypted(text, *by_age(age_key), name=name),
    }

    (finding,) = await findings(engines, kustomize(files))

    assert finding.code == "render.sops"
    assert finding.message.startswith("Secret app-")
    assert (name if kind == "files" else "sops_mac") in finding.message
