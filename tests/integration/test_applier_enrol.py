"""Joining a hub, as an agent sees it; the hub here is a server that speaks the two routes."""

import hashlib
from base64 import urlsafe_b64encode
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from nacl.signing import SigningKey

from services.applier.enrol import BadTokenError, Here, RefusedByHubError, enrolled, token_of
from services.applier.identity import FilePlace, NewKey
from services.applier.verify import RefusedError
from shared.bus.keys import verify_with_public
from shared.core import dsse
from shared.core.canonical import encode
from shared.messages.releases import Enrolment, EnrolRequest, KeySet

HERE = Here("uid-1", "v1.33", "0.1.0", {"region": "eu"})


class HubDouble:
    """Answers as the hub would, for whoever asks."""

    def __init__(self):
        self.root = SigningKey.generate()
        self.hub = hashlib.sha256(bytes(self.root.verify_key)).hexdigest()
        self.key_set = self.signed_by(self.root)
        self.refusal = None
        self.asked = []

    def signed_by(self, root):
        public = bytes(root.verify_key)
        hub = hashlib.sha256(public).hexdigest()
        document = KeySet(hub=hub, root=public.hex(), version=1, keys={dsse.key_id_of(public): public.hex()})
        return dsse.signed(dsse.KEY_SET, document.to_bytes(), root).decode()

    async def answer(self, request):
        if request.method == "GET":
            return web.json_response({"hub": self.hub, "key_set": self.key_set})
        self.asked.append(EnrolRequest.from_bytes(await request.read()))
        if self.refusal:
            return web.json_response({"detail": "it was used", "code": "enrol.used"}, status=self.refusal)
        told = Enrolment(
            cluster="c1",
            hub=self.hub,
            user_jwt="jwt",
            expires="2030-01-01T00:00:00Z",
            key_set=self.key_set,
            bus=("nats://127.0.0.1:4222",),
        )
        return web.Response(body=told.to_bytes(), content_type="application/json")

    def token(self, url):
        told = {"hub": url, "root": self.hub, "ca": "", "cluster": "c1", "secret": "s3cret"}
        return urlsafe_b64encode(encode(told)).rstrip(b"=").decode()


@pytest.fixture
async def hub():
    async with serving(HubDouble()) as double:
        yield double


@asynccontextmanager
async def serving(double):
    runner = web.ServerRunner(web.Server(double.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    double.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield double
    await runner.cleanup()


async def test_an_agent_proves_its_key_and_keeps_what_it_gets(hub, tmp_path):
    key = NewKey()
    identity = await enrolled(token_of(hub.token(hub.url)), key, HERE)
    place = FilePlace(tmp_path / "data")
    await place.save(identity)

    asked = hub.asked[0]
    hashed = hashlib.sha256(b"s3cret").hexdigest()
    proven = f"towline-enrol:c1:{asked.nonce}:{hashed}".encode()
    assert verify_with_public(asked.public_key, proven, bytes.fromhex(asked.proof))
    assert (asked.uid, asked.claims) == ("uid-1", {"region": "eu"})
    assert await place.load() == identity
    assert (tmp_path / "data" / "identity.json").stat().st_mode & 0o077 == 0
    assert key.seed not in repr(identity)


async def test_another_hub_than_the_token_names_gets_no_secret(hub):
    """trust.md: the fingerprint in the token makes the hub the right one."""
    token = token_of(hub.token(hub.url))
    hub.key_set = hub.signed_by(SigningKey.generate())
    with pytest.raises(RefusedError):
        await enrolled(token, NewKey(), HERE)

    assert hub.asked == []


async def test_a_used_token_is_refused_with_the_hubs_own_code(hub):
    hub.refusal = 403
    with pytest.raises(RefusedByHubError, match="it was used") as refused:
        await enrolled(token_of(hub.token(hub.url)), NewKey(), HERE)

    assert refused.value.code == "enrol.used"


@pytest.mark.parametrize("text", ["", "nonsense", urlsafe_b64encode(encode({"hub": "x"})).decode()])
def test_what_is_no_token_is_said_to_be_none(text):
    with pytest.raises(BadTokenError):
        token_of(text)
