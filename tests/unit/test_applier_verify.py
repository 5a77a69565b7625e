"""What the agent believes: A01, A03, A08, A09, A10 of faults.md, rules A1-A3."""

import random
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from services.applier import verify
from services.applier.documents import Blob, Bundle, KeySetDocument, ReleaseDocument
from services.applier.state import Header
from services.applier.verify import (
    Accepted,
    Refusal,
    RefusedError,
    Trust,
    bundle_objects,
    check_release,
    roster,
    trusted_keys,
    verified,
    verified_instruction,
)
from shared.core import dsse
from shared.core.bundles import bundle_bytes
from shared.core.canonical import decode, digest, encode
from shared.core.seal import compress
from shared.messages.blobs import BlobRef
from shared.messages.releases import Desired, Instruction, KeySet, Roster

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOT, KEY, OTHER, REVOKED = (SigningKey(bytes([n]) * 32) for n in range(4))
HUB = sha256(bytes(ROOT.verify_key)).hexdigest()


def key_id(key):
    return dsse.key_id_of(bytes(key.verify_key))


def public(key):
    return bytes(key.verify_key)


KEYS = KeySetDocument(HUB, 1, {key_id(k): public(k) for k in (KEY, REVOKED)}, revoked=frozenset({key_id(REVOKED)}))
TRUST = Trust(HUB, "c1", KEYS)


def body(**changes):
    model = Desired(
        hub=HUB,
        cluster="c1",
        epoch=1,
        generation=5,
        roster=BlobRef(digest="aa", bytes=1),
        created=NOW,
        key=key_id(KEY),
    )
    return encode({**decode(model.to_bytes()), **changes})


def envelope(key=KEY, kind=dsse.DESIRED, **changes):
    return dsse.signed(kind, body(**changes), key)


def refused(call, *arguments):
    with pytest.raises(RefusedError) as caught:
        call(*arguments)
    assert caught.value.code == caught.value.refusal.value
    return caught.value.refusal


def test_a_good_document_is_believed_and_remembered():
    taken = verified(envelope(), TRUST, Accepted())

    assert not taken.unchanged
    assert taken.document.generation == 5
    assert taken.accepted == Accepted(1, 5, digest(body()), key_id(KEY), 0)
    assert verified(envelope(), TRUST, taken.accepted).unchanged


ALTERED = decode(envelope())


def with_payload(data):
    return encode({**ALTERED, "payload": b64encode(data).decode()})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"x" * (verify.DESIRED_LIMIT_BYTES + 1), Refusal.TOO_LARGE),
        (b"", Refusal.MALFORMED),
        (envelope()[:-1], Refusal.MALFORMED),
        (encode({**ALTERED, "signatures": []}), Refusal.MALFORMED),
        (encode({**ALTERED, "signatures": ALTERED["signatures"] * 2}), Refusal.MALFORMED),
        (encode({**ALTERED, "payload": "%"}), Refusal.MALFORMED),
        (envelope(kind=dsse.INSTRUCTION), Refusal.TYPE),
        (envelope(crit=["ghost"]), Refusal.UNSUPPORTED),
        (envelope(schema=2), Refusal.UNSUPPORTED),
        (envelope(OTHER), Refusal.UNKNOWN_KEY),
        (envelope(REVOKED), Refusal.REVOKED_KEY),
        (with_payload(body(generation=6)), Refusal.SIGNATURE),
        (with_payload(body(cluster="c2")), Refusal.SIGNATURE),
        (with_payload(b"{"), Refusal.SIGNATURE),
        (encode({**ALTERED, "payloadType": dsse.INSTRUCTION}), Refusal.TYPE),
        (dsse.signed(dsse.DESIRED, b"[]", KEY), Refusal.MALFORMED),
        (envelope(generation="5"), Refusal.MALFORMED),
        (envelope(hub="ff"), Refusal.HUB),
        (envelope(cluster="c2"), Refusal.CLUSTER),
        (envelope(policy=2), Refusal.POLICY),
        (envelope(generation=3), Refusal.OLDER),
        (envelope(epoch=0, generation=99), Refusal.OLDER),
        (envelope(generation=4), Refusal.EQUIVOCATION),
    ],
)
def test_each_mutation_is_refused_with_its_code_a08(data, expected):
    """A1."""
    accepted = Accepted(1, 4, "digest of another", key_id(KEY), 3)
    if expected is not Refusal.POLICY:
        accepted = replace(accepted, policy=0)

    assert refused(verified, data, TRUST, accepted) is expected


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(envelope()) * 8 - 1))
def test_no_flipped_bit_is_believed_a08(position):
    """A1."""
    data = bytearray(envelope())
    data[position // 8] ^= 1 << position % 8

    try:
        taken = verified(bytes(data), TRUST, Accepted())
    except RefusedError:
        return
    assert taken.document == verified(envelope(), TRUST, Accepted()).document


def test_only_rising_numbers_are_taken_whatever_the_order_a03():
    """A3."""
    chance = random.Random(3)
    documents = [(envelope(generation=n), n) for n in range(1, 701)]
    arriving = documents + chance.choices(documents, k=300)
    chance.shuffle(arriving)
    accepted, taken = Accepted(), []

    for data, number in arriving:
        if number < accepted.generation:
            assert refused(verified, data, TRUST, accepted) is Refusal.OLDER
            continue
        found = verified(data, TRUST, accepted)
        if not found.unchanged:
            taken.append(number)
        accepted = found.accepted

    assert len(arriving) == 1000
    assert taken == sorted(set(taken))
    assert taken[-1] == 700


def test_an_older_document_is_refused_and_a_rollback_is_a_higher_one_a09():
    """A3."""
    accepted = verified(envelope(generation=9), TRUST, Accepted()).accepted

    for number in range(9):
        assert refused(verified, envelope(generation=number), TRUST, accepted) is Refusal.OLDER
    assert not verified(envelope(generation=10), TRUST, accepted).unchanged


def test_a_number_accepted_under_a_revoked_key_blocks_nothing():
    accepted = Accepted(10**9, 10**9, "aa", key_id(REVOKED), 7)

    assert verified(envelope(), TRUST, accepted).document.generation == 5


def stored_roster(cluster="c1", **releases):
    return compress(Roster(cluster=cluster, releases=releases).to_bytes())


def naming(stored):
    return verified(envelope(roster={"digest": digest(stored), "bytes": len(stored)}), TRUST, Accepted()).document


def test_a_roster_is_the_one_that_was_signed():
    stored = stored_roster()

    assert roster(stored, naming(stored)).releases == {}
    assert refused(roster, stored + b"x", naming(stored)) is Refusal.ROSTER_DIGEST


@pytest.mark.parametrize(
    "stored",
    [
        b"not compressed",
        compress(b"[]"),
        stored_roster("c2"),
        stored_roster(web={"app": "api", "epoch": 1, "generation": 1, "state": "removed"}),
    ],
)
def test_a_signed_roster_that_makes_no_sense_is_refused(stored):
    assert refused(roster, stored, naming(stored)) is Refusal.ROSTER_MALFORMED


def release(generation=5, bundle="aa", epoch=1):
    found = Bundle(bundle, 1, 1, Blob("bb", 1)) if bundle else None
    return ReleaseDocument("web", epoch, generation, removed=not bundle, bundle=found)


HEADER = Header("web", 1, 5, key_id(KEY), "aa")


def test_a_release_never_goes_back():
    """A3."""
    check_release(release(), None, KEYS)
    check_release(release(), HEADER, KEYS)
    check_release(release(6, "cc"), HEADER, KEYS)
    check_release(release(1, epoch=2), HEADER, KEYS)
    check_release(release(1), replace(HEADER, key=key_id(REVOKED)), KEYS)

    assert refused(check_release, release(4), HEADER, KEYS) is Refusal.RELEASE_OLDER
    assert refused(check_release, release(5, "cc"), HEADER, KEYS) is Refusal.RELEASE_EQUIVOCATION
    assert refused(check_release, release(5, ""), HEADER, KEYS) is Refusal.RELEASE_EQUIVOCATION


OBJECTS = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{n}"}} for n in range(5)]
CONTENT = bundle_bytes(OBJECTS)
BUNDLE = Bundle(digest(CONTENT), len(CONTENT), 5, Blob("bb", 1))


def pieces(data, size=7):
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_bundle_is_read_object_by_object(size):
    assert list(bundle_objects(pieces(CONTENT, size), BUNDLE)) == OBJECTS


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(CONTENT) * 8 - 1))
def test_one_flipped_bit_refuses_the_bundle_rule_a1(position):
    data = bytearray(CONTENT)
    data[position // 8] ^= 1 << position % 8

    assert refused(list, bundle_objects(pieces(bytes(data)), BUNDLE)) is Refusal.BUNDLE_DIGEST


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null\n",
        b"apiVersion: v1\n",
        b'{"objects":1,"schema":1}\nkind: ConfigMap\n',
        b'{"objects":1,"schema":1}\n[]\n',
        b'{"objects":2,"schema":1}\n{}\n',
        b'{"objects":1,"schema":2}\n{}\n',
        b'{"objects":1,"schema":1}\n{}\n',
    ],
    ids=["empty", "null", "yaml", "yaml-line", "list-line", "cut", "schema", "other-count"],
)
def test_a_bundle_that_is_not_whole_is_refused_rules_a2_a4(content):
    bundle = Bundle(digest(content), len(content), 7, Blob("bb", 1))

    assert refused(list, bundle_objects([content], bundle)) is Refusal.BUNDLE_INCOMPLETE


def test_a_huge_bundle_is_refused_before_it_is_held(monkeypatch):
    monkeypatch.setattr(verify, "BUNDLE_LIMIT_BYTES", 10)

    assert refused(list, bundle_objects(pieces(CONTENT), BUNDLE)) is Refusal.BUNDLE_TOO_LARGE


def instruction(**changes):
    model = Instruction(id="1", hub=HUB, cluster="c1", verb="sync", expires=NOW + timedelta(minutes=1))
    return dsse.signed(dsse.INSTRUCTION, model.model_copy(update=changes).to_bytes(), KEY)


def test_an_instruction_is_for_this_agent_and_for_a_while():
    assert verified_instruction(instruction(), TRUST, NOW).verb == "sync"

    assert refused(verified_instruction, instruction(expires=NOW), TRUST, NOW) is Refusal.INSTRUCTION_EXPIRED
    assert refused(verified_instruction, instruction(cluster="c2"), TRUST, NOW) is Refusal.CLUSTER
    assert refused(verified_instruction, instruction(crit=("x",)), TRUST, NOW) is Refusal.UNSUPPORTED
    assert refused(verified_instruction, envelope(), TRUST, NOW) is Refusal.TYPE
    assert refused(verified_instruction, b" " * (1 << 20), TRUST, NOW) is Refusal.TOO_LARGE


def key_set(key=ROOT, **changes):
    model = KeySet(hub=HUB, root=public(ROOT).hex(), version=2, keys={key_id(KEY): public(KEY).hex()})
    return dsse.signed(dsse.KEY_SET, model.model_copy(update=changes).to_bytes(), key)


def test_only_the_root_key_says_which_keys_are_good():
    assert trusted_keys(key_set(), HUB).keys == {key_id(KEY): public(KEY)}
    assert trusted_keys(key_set(), HUB, KEYS).version == 2

    assert refused(trusted_keys, key_set(KEY), HUB) is Refusal.UNKNOWN_KEY
    assert refused(trusted_keys, key_set(KEY, root=public(KEY).hex()), HUB) is Refusal.HUB
    assert refused(trusted_keys, key_set(hub="ff"), HUB) is Refusal.HUB
    assert refused(trusted_keys, key_set(version=0), HUB, KEYS) is Refusal.OLDER
    assert refused(trusted_keys, key_set(root="zz"), HUB) is Refusal.MALFORMED
    assert refused(trusted_keys, b"{}", HUB) is Refusal.MALFORMED
