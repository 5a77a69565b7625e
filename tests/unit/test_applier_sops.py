"""What SOPS encrypted is opened with the right key, after its MAC was checked, and only where it was encrypted."""

import hashlib
import json
from base64 import b64encode
from textwrap import indent

import pyrage
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.applier.sops.errors import SopsError
from services.applier.sops.keys import read_keys
from services.applier.sops.opening import opened
from tests.support.sops import SECRET, by_age, delivered

MIXED = """\
apiVersion: acme.io/v1
kind: Mixed
metadata: {name: mixed, annotations: {a: "1", b: 'yes'}}
spec:
  # a comment
  when: 2020-01-02
  whenexactly: 2020-01-02T03:04:05.600Z
  numbers: [1, 1.50, 1e3, 017, 0x1F, 0o17, 1_000, .5, -3, 123456789012345678, 1e21]
  words: [true, yes, null, ~, "", "5", 'x: y', on]
  text: |
    a
     b
  nested: [[a, {x: y}], {}]
"""


def ring(*identities, **entries):
    found = {f"k{number}.agekey": str(each).encode() for number, each in enumerate(identities)}
    return read_keys("Secret towline/sops-keys", {**found, **entries})


def coded(**data):
    return {name: b64encode(text.encode()).decode() for name, text in data.items()}


def crafted(identity, kind, value):
    """Return a file whose MAC fits, with whatever at `spec`, as somebody may write it without the program."""
    key, nonce = bytes(32), bytes(12)

    def locked(text, bound, kind):
        sealed = AESGCM(key).encrypt(nonce, text.encode(), bound.encode())
        data, iv, tag = (b64encode(each).decode() for each in (sealed[:-16], nonce, sealed[-16:]))
        return f"ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:{kind}]"

    mac = hashlib.sha512(value.encode()).hexdigest().upper()
    enc = indent(pyrage.encrypt(key, [identity.to_public()], armored=True).decode(), " " * 6)
    return (
        f"spec: {locked(value, 'spec:', kind)}\n"
        f"sops:\n  mac: {locked(mac, '1', 'str')}\n  lastmodified: '1'\n  age:\n  - enc: |\n{enc}"
    )


def test_a_secret_is_opened_with_the_age_key_among_others(sops, age_key):
    (manifest,) = delivered(sops.encrypted(SECRET, *by_age(age_key)))

    found = opened(manifest, ring(pyrage.x25519.Identity.generate(), age_key))

    assert found == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": "web"},
        "data": coded(user="admin", password="c4n4ry-{number}"),
    }


def test_a_secret_is_opened_with_the_key_that_gpg_made(sops, pgp_key):
    home, fingerprint, armored = pgp_key
    (manifest,) = delivered(sops.encrypted(SECRET, "--pgp", fingerprint, home=home))

    assert opened(manifest, ring(**{"a.asc": armored}))["data"]["user"] == coded(user="admin")["user"]
    with pytest.raises(SopsError, match=f"wants PGP {fingerprint}; broken.asc there holds no usable key"):
        opened(manifest, ring(**{"broken.asc": b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxx"}))


@pytest.mark.parametrize(
    "options",
    [
        ("--encrypted-regex", "^(text|words)$"),
        ("--encrypted-regex", "^text$", "--mac-only-encrypted"),
        ("--unencrypted-regex", "^(apiVersion|kind|metadata)$"),
    ],
    ids=["some", "mac-only", "all"],
)
@pytest.mark.parametrize("name", ["mixed.yaml", "mixed.json"])
def test_the_mac_is_reckoned_as_sops_does_it_whatever_the_values_are(sops, age_key, options, name):
    text = (
        MIXED
        if name.endswith("yaml")
        else json.dumps(
            {"apiVersion": "acme.io/v1", "kind": "M", "spec": [1.5, "a", 1e21, None, True, {"text": "x/y"}]}
        )
    )

    (manifest,) = delivered(sops.encrypted(text, *options, *by_age(age_key), name=name))

    spec = opened(manifest, ring(age_key))["spec"]
    assert spec["text"] == "a\n b\n" if name.endswith("yaml") else spec[5] == {"text": "x/y"}


def test_what_no_number_can_hold_counts_as_the_text_that_it_is(sops, age_key):
    """More digits than Python converts, too: such a file must not end the agent that opens the others."""
    large = ["0xffffffffffffffffffff", f"0b{'1' * 70}", "1e400", "1" * 5000, "-0x" + "f" * 4000]
    text = f"{SECRET}large: [{', '.join(large)}]\n"

    (manifest,) = delivered(sops.encrypted(text, *by_age(age_key)))

    assert opened(manifest, ring(age_key))["large"] == large


def test_a_file_of_several_objects_has_one_mac(sops, age_key):
    text = sops.encrypted(f"{SECRET}---\n{SECRET.replace('login', 'other')}", *by_age(age_key))

    assert [opened(each, ring(age_key))["metadata"]["name"] for each in delivered(text)] == ["login", "other"]


def test_names_namespaces_and_labels_may_change_and_the_order_of_keys(sops, age_key):
    (manifest,) = delivered(
        sops.encrypted(SECRET, *by_age(age_key)),
        metadata={"name": "prod-login", "namespace": "prod", "labels": {"a": "b"}},
    )
    manifest = dict(sorted(manifest.items(), reverse=True))

    assert opened(manifest, ring(age_key))["metadata"]["name"] == "prod-login"


def test_a_value_that_a_patch_put_elsewhere_stays_closed(sops, age_key):
    """Who writes to git and has no key cannot have a value shown in a ConfigMap, nor swap two."""
    (manifest,) = delivered(sops.encrypted(SECRET, *by_age(age_key)))
    password = manifest["stringData"]["password"]
    for moved in (
        {**manifest, "metadata": {"name": "x", "annotations": {"a": password}}},
        {**manifest, "stringData": {"user": password}},
    ):
        with pytest.raises(SopsError, match="encrypted elsewhere"):
            opened(moved, ring(age_key))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("name: login", "name: other", "its MAC does not fit"),
        ("\n    namespace: web", "", "its MAC does not fit"),
        ("    user: ENC[AES256_GCM,data:", "    user: ENC[AES256_GCM,data:AA", "stringData.user is damaged"),
        ('    lastmodified: "2', '    lastmodified: "3', "its MAC is damaged"),
    ],
)
def test_a_file_that_somebody_changed_is_refused(sops, age_key, old, new, says):
    text = sops.encrypted(SECRET, *by_age(age_key))
    assert old in text

    (manifest,) = delivered(text.replace(old, new))

    with pytest.raises(SopsError, match=says):
        opened(manifest, ring(age_key))


def test_swapping_two_documents_breaks_the_mac(sops, age_key):
    one, other = SECRET.replace("admin", "a"), SECRET.replace("login", "other")
    first, second = sops.encrypted(f"{one}---\n{other}", *by_age(age_key)).split("\n---\n")

    with pytest.raises(SopsError, match="its MAC does not fit"):
        opened(delivered(f"{second}\n---\n{first}")[0], ring(age_key))


def test_a_missing_key_is_named(sops, age_key, pgp_key):
    home, fingerprint, _ = pgp_key
    (manifest,) = delivered(sops.encrypted(SECRET, *by_age(age_key), "--pgp", fingerprint, home=home))

    with pytest.raises(SopsError) as refused:
        opened(manifest, ring(pyrage.x25519.Identity.generate(), **{"note.txt": b"x"}))

    assert (
        f"no key in Secret towline/sops-keys opens it, which wants age {age_key.to_public()} or PGP {fingerprint}"
        in str(refused.value)
    )
    assert "NAME.agekey or NAME.asc" in refused.value.hint


def test_keys_that_only_a_cloud_keeps_and_split_keys_are_refused_by_name(sops, age_key):
    (manifest,) = delivered(sops.encrypted(SECRET, *by_age(age_key)))
    text = manifest["sops"]["text"]
    begin, end = text.index("    age:"), text.index("    lastmodified:")
    cloud = (
        text[:begin]
        + "    kms:\n        - arn: a\n          enc: b\n    hc_vault:\n        - vault_address: c\n"
        + text[end:]
    )
    for changed, says in (
        (cloud, "kept by AWS KMS and HashiCorp Vault, which agents do not ask"),
        (
            text.replace("    lastmodified:", "    shamir_threshold: 2\n    lastmodified:"),
            "split over several key groups",
        ),
    ):
        with pytest.raises(SopsError, match=says):
            opened({**manifest, "sops": {"text": changed}}, ring(age_key))


@pytest.mark.parametrize(
    ("kind", "value"), [("int", "secret-7"), ("int", "7" * 5000), ("float", "secret-7"), ("float", "1e999")]
)
def test_an_encrypted_value_that_is_not_what_its_type_says_stays_closed(age_key, kind, value):
    """Who writes to git can encrypt, too: what nobody can read must not end the agent, and is told to nobody."""
    file = crafted(age_key, kind, value)

    with pytest.raises(SopsError, match=f"spec is no {kind}") as refused:
        opened({"kind": "Secret", "sops": {"text": file}}, ring(age_key))

    assert "7" not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("split", ["[2]", "{a: b}"])
def test_an_entry_of_sops_with_something_else_than_texts_ends_no_agent(age_key, split):
    file = crafted(age_key, "str", "x")
    held = {"kind": "ConfigMap", "sops": {"text": file.replace("sops:", f"sops:\n  shamir_threshold: {split}")}}
    whole = {"kind": "ConfigMap", "sops": {"text": file.replace("sops:", f"sops:\n  mac_only_encrypted: {split}")}}

    with pytest.raises(SopsError, match="split over several key groups"):
        opened(held, ring(age_key))
    assert opened(whole, ring(age_key)) == {"kind": "ConfigMap"}


@pytest.mark.parametrize(
    "text", ["a: [", "- a", "a: b", "sops: {}\na: &x 1", "sops: {age: []}\na: *x", "[" * 200, "? [a]\n: b"]
)
def test_what_is_no_file_of_sops_is_refused(age_key, text):
    with pytest.raises(SopsError):
        opened({"kind": "Secret", "sops": {"text": text}}, ring(age_key))
