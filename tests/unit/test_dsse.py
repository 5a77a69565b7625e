"""An envelope opens only with its type, its key and its exact bytes."""

import pytest
from nacl.signing import SigningKey

from shared.core.canonical import decode, encode
from shared.core.dsse import DESIRED, INSTRUCTION, EnvelopeError, key_id_of, opened, signed

KEY = SigningKey(b"k" * 32)
KEYS = {key_id_of(bytes(KEY.verify_key)): bytes(KEY.verify_key)}


def test_a_signed_body_comes_back_as_it_was():
    assert opened(DESIRED, signed(DESIRED, b'{"a":1}', KEY), KEYS).body == b'{"a":1}'


def test_a_signature_for_one_type_does_not_pass_as_another():
    with pytest.raises(EnvelopeError) as refused:
        opened(DESIRED, signed(INSTRUCTION, b"{}", KEY), KEYS)

    assert refused.value.code == "envelope.type"


def test_a_relabelled_document_is_refused():
    document = decode(signed(INSTRUCTION, b"{}", KEY))
    document["payloadType"] = DESIRED

    with pytest.raises(EnvelopeError) as refused:
        opened(DESIRED, encode(document), KEYS)

    assert refused.value.code == "envelope.signature"


def test_an_unknown_key_is_refused():
    with pytest.raises(EnvelopeError) as refused:
        opened(DESIRED, signed(DESIRED, b"{}", SigningKey(b"x" * 32)), KEYS)

    assert refused.value.code == "envelope.key"


@pytest.mark.parametrize("envelope", [b"", b"{}", b"[]", b'{"payload":"!","payloadType":"a","signatures":[]}'])
def test_malformed_envelopes_are_refused(envelope):
    with pytest.raises(EnvelopeError) as refused:
        opened(DESIRED, envelope, KEYS)

    assert refused.value.code == "envelope.malformed"
