"""Decide whether somebody whose word counts signed a commit, and say exactly why not.

What counts is whether a key is good now: whoever has an old key can date a commit back. A commit that was taken is not
judged again when its key expires.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from pysequoia import Sig, verify
from sshsig.sshsig import SshsigSignature, SshsigWrapper

from services.poller.signers import NAMESPACE, Keys
from services.poller.ssh_keys import SshPublicKey
from shared.git.signatures import SSH, Signed

_HASHES = {b"sha256", b"sha512"}
"""What OpenSSH takes."""


def objection(signed: Signed, keys: Keys, now: datetime) -> str:
    """Return why the signature does not count, or nothing."""
    if not signed.signature:
        return "nobody signed it"
    if signed.signature.lstrip().startswith(SSH):
        return _of_ssh(signed, keys, now)
    return _of_openpgp(signed, keys, now)


def _of_ssh(signed: Signed, keys: Keys, now: datetime) -> str:
    try:
        outer = SshsigSignature.from_armored(signed.signature)
        if outer.namespace != NAMESPACE.encode():
            return f"its signature is for the namespace {outer.namespace.decode(errors='replace')!r}, not for 'git'"
        if outer.hash_algo not in _HASHES:
            return f"its signature uses the hash {outer.hash_algo.decode(errors='replace')!r}, not sha256 or sha512"
    except (ValueError, NotImplementedError) as error:
        return f"its signature cannot be read: {error}"
    key = SshPublicKey(outer.public_key)
    known = [each for each in keys.ssh if each.key == key]
    if not known:
        return f"the key {key.fingerprint} that signed it is no signer's"
    digest = hashlib.new(outer.hash_algo.decode(), signed.payload).digest()
    wrapped = SshsigWrapper(namespace=outer.namespace, hash_algo=outer.hash_algo, hash=digest)
    if not key.verifies(outer.signature, wrapped.to_bytes()):
        return "its signature is wrong: commit or signature were altered"
    objections = [each.objection(now) for each in known]
    return "" if "" in objections else objections[0]


def _of_openpgp(signed: Signed, keys: Keys, now: datetime) -> str:
    try:
        signature = Sig.from_bytes(signed.signature)
    except RuntimeError:
        return "its signature cannot be read"
    issuer = (signature.issuer_fingerprint or signature.issuer_key_id or "").lower()
    known = [each for each in keys.certificates if issuer in each.ends]
    if not issuer or not known:
        return f"the key {issuer or 'without a name'} that signed it is no signer's"
    if signature.expiration and signature.expiration <= now:
        return f"its signature expired on {signature.expiration.isoformat()}"
    objections = [each.objection(issuer, now) for each in known]
    good = [each.cert for each, wrong in zip(known, objections, strict=True) if not wrong]
    if not good:
        return objections[0]
    try:
        verify(bytes=signed.payload, store=lambda _: good, signature=signature)
    except RuntimeError:
        return f"its signature is wrong, or too weak to count, for the key {issuer}"
    return ""
