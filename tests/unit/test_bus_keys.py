"""Keys and identities of the bus: spelled as NATS spells them, made once, readable by their owner only."""

import stat

import nkeys
import pytest

from shared.bus.claims import ClaimsError, claims_of
from shared.bus.identities import BusKeys, new_user_seed, sign_with_seed, verify_with_public
from shared.bus.keys import KeyFormatError, is_user, new_seed, public_of


@pytest.mark.parametrize(("role", "letter"), [("operator", "O"), ("account", "A"), ("user", "U")])
def test_seeds_are_what_nats_own_library_reads(role, letter):
    seed = new_seed(role)
    pair = nkeys.from_seed(bytearray(seed.encode()))

    assert seed.startswith(f"S{letter}")
    assert pair.public_key.decode() == public_of(seed)
    assert pair.verify(b"data", sign_with_seed(seed, b"data"))


def test_signatures_hold_for_exactly_one_text_and_key():
    seed, public = new_user_seed()
    signature = sign_with_seed(seed, b"nonce")

    assert verify_with_public(public, b"nonce", signature)
    assert not verify_with_public(public, b"other", signature)
    assert not verify_with_public(new_user_seed()[1], b"nonce", signature)
    for broken in ("", "U", public[:-1], public + "A", "é"):
        assert not verify_with_public(broken, b"nonce", signature)
        assert not is_user(broken)


@pytest.mark.parametrize(
    "text", ["", "SU", "not base32!", new_user_seed()[1]], ids=["empty", "short", "no base32", "public key"]
)
def test_what_is_no_seed_is_refused_without_being_quoted(text):
    with pytest.raises(KeyFormatError) as caught:
        sign_with_seed(text, b"")
    assert not text or text not in str(caught.value)


def test_keys_are_made_once_and_belong_to_their_owner(tmp_path):
    folder = tmp_path / "bus"
    keys = BusKeys.load_or_make(folder)

    assert BusKeys.load_or_make(folder) == keys
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("text", ["", "a.b", "a.!!.c", "a.W10.c"])
def test_what_is_no_jwt_is_refused(text):
    with pytest.raises(ClaimsError):
        claims_of(text)
