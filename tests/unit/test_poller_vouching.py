"""A signature counts, or says exactly why not."""

import base64
import hashlib
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from services.poller.signers import Keys, Signers, SignersError
from services.poller.vouching import objection
from shared.git.objects import BadObjectError
from shared.git.signatures import Signed, signed_commit, signed_tag

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TODAY = datetime.now(UTC)
TEXT = b"tree 0\nauthor A <a@example.org> 1 +0000\n\nsay hello\n"


@pytest.fixture
def signers(tmp_path):
    return Signers(tmp_path)


def allowed(signers, *lines):
    (signers.path / "ops.allowed_signers").write_text("# keys of operators\n\n" + "\n".join(lines) + "\n")
    return signers.keys(["ops"])


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_a_signature_of_a_signers_ssh_key_counts(signers, ssh_signer, kind, hash_name):
    ops = ssh_signer("ops", kind)
    signed = Signed(TEXT, ops(TEXT, hash_name=hash_name).encode())

    assert objection(signed, allowed(signers, f"ops@example.org {ops.public} a comment"), NOW) == ""


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('* namespaces="git" {key}', ""),
        ('* namespaces="file,gi*" {key}', ""),
        ('* namespaces="file" {key}', "is not for the namespace 'git', but for file"),
        ('* valid-before="20300102" {key}', ""),
        ('* valid-before="20291231Z" {key}', "expired on 2029-12-31T00:00:00+00:00"),
        ('* valid-after="20300101000001Z" {key}', "counts only from 2030-01-01T00:00:01+00:00"),
        ('* valid-after="202912312359Z",valid-before="20310101Z" {key}', ""),
        ("* {other}", "is no signer's"),
    ],
)
def test_what_a_line_says_of_a_key_holds(signers, ssh_signer, line, says):
    ops, other = ssh_signer("ops"), ssh_signer("other")
    keys = allowed(signers, line.format(key=ops.public, other=other.public))
    why = objection(Signed(TEXT, ops(TEXT).encode()), keys, NOW)

    assert says in why
    assert bool(says) == bool(why)


def test_one_line_that_lets_a_key_count_is_enough(signers, ssh_signer):
    ops = ssh_signer("ops")
    keys = allowed(signers, f'* valid-before="20200101" {ops.public}', f"* {ops.public}")

    assert objection(Signed(TEXT, ops(TEXT).encode()), keys, NOW) == ""


def test_a_signature_for_another_purpose_or_text_or_of_a_broken_kind_does_not_count(signers, ssh_signer):
    ops = ssh_signer("ops")
    keys = allowed(signers, f"* {ops.public}")

    assert "for the namespace 'file'" in objection(Signed(TEXT, ops(TEXT, "file").encode()), keys, NOW)
    assert "altered" in objection(Signed(TEXT + b"!", ops(TEXT).encode()), keys, NOW)
    assert objection(Signed(TEXT), keys, NOW) == "nobody signed it"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("* cert-authority {key}", "certificates of SSH are not supported"),
        ('* valid-before="soon" {key}', "is no time"),
        ("* ssh-dss AAAAB3NzaC1kc3MAAAABAA==", "ops.allowed_signers"),
        ("* ssh-ed25519 AAAA", "ops.allowed_signers"),
        ("* ssh-ed25519 not-base64!", "ops.allowed_signers"),
        ("* ssh-rsa {blob}", "a key that is called ssh-rsa is none"),
        ("nonsense", "ops.allowed_signers"),
        ('* unknown="x" {key}', "ops.allowed_signers"),
    ],
)
def test_a_file_that_is_not_understood_lets_nobody_sign(signers, ssh_signer, line, says):
    other = ssh_signer("other").public
    with pytest.raises(SignersError, match=says):
        allowed(signers, f"* {ssh_signer('ops').public}", line.format(key=other, blob=other.split()[1]))


def text(*parts):
    return b"".join(len(part).to_bytes(4) + part for part in parts)


@pytest.mark.parametrize("flags", [0, 1, 5])
@pytest.mark.parametrize("kind", ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"])
def test_a_hardware_key_counts_when_somebody_touched_it(signers, kind, flags):
    """By what PROTOCOL.u2f says that such a key signs."""
    inner = text(b"git", b"", b"sha512", hashlib.sha512(TEXT).digest())
    meant = (
        hashlib.sha256(b"ssh:").digest() + bytes([flags]) + (7).to_bytes(4) + hashlib.sha256(b"SSHSIG" + inner).digest()
    )
    if "ed25519" in kind:
        key = ed25519.Ed25519PrivateKey.generate()
        blob = text(kind.encode(), key.public_key().public_bytes_raw(), b"ssh:")
        raw = key.sign(meant)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        blob = text(kind.encode(), b"nistp256", point, b"ssh:")
        pair = decode_dss_signature(key.sign(meant, ec.ECDSA(SHA256())))
        raw = text(*(b"\0" + number.to_bytes(32) for number in pair))
    made = text(kind.encode(), raw) + bytes([flags]) + (7).to_bytes(4)
    outer = b"SSHSIG" + (1).to_bytes(4) + text(blob, b"git", b"", b"sha512", made)
    signature = b"-----BEGIN SSH SIGNATURE-----\n" + base64.b64encode(outer) + b"\n-----END SSH SIGNATURE-----\n"
    keys = allowed(signers, f"* {kind} {base64.b64encode(blob).decode()}")

    assert (objection(Signed(TEXT, signature), keys, NOW) == "") is bool(flags)
    assert "altered" in objection(Signed(TEXT + b"!", signature), keys, NOW)


def test_a_weak_key_counts_for_nothing(signers, ssh_signer):
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    with pytest.raises(SignersError, match="1024 bits"):
        allowed(signers, "* " + weak.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())


def test_a_signer_without_keys_is_named_with_where_to_put_them(signers):
    with pytest.raises(SignersError, match="'ops'") as failed:
        signers.keys(["ops"])

    assert str(signers.path / "ops.asc") in failed.value.hint


@pytest.mark.parametrize("name", ["../ops", "/etc/passwd", ".", "a/b"])
def test_no_name_of_a_signer_leads_out_of_the_folder(signers, name):
    (signers.path.parent / "ops.asc").write_text("")
    with pytest.raises(SignersError):
        signers.keys([name])


def certificates(signers, *certs):
    (signers.path / "ops.asc").write_text("".join(str(cert) for cert in certs))
    return signers.keys(["ops"])


def test_a_signature_of_a_signers_openpgp_key_counts(signers, pgp_signer):
    ops, other = pgp_signer("ops"), pgp_signer("other")
    keys = certificates(signers, other.key.extract_certificate(), ops.key.extract_certificate())
    signed = Signed(TEXT, ops(TEXT).encode())

    assert objection(signed, keys, TODAY) == ""
    assert "is wrong" in objection(Signed(TEXT + b"!", signed.signature), keys, TODAY)
    assert "is no signer's" in objection(signed, Keys(keys.certificates[:1]), TODAY)


def test_an_openpgp_key_counts_until_it_expires_whatever_time_a_signature_claims(signers, pgp_signer):
    ops = pgp_signer("ops")
    ends = TODAY + timedelta(days=2)
    cert = ops.key.extract_certificate().set_expiration(ends, ops.key.certifier())
    keys = certificates(signers, cert)
    signed = Signed(TEXT, ops(TEXT).encode())

    assert objection(signed, keys, TODAY) == ""
    assert "expired on" in objection(signed, keys, ends + timedelta(seconds=1))


def test_a_revoked_openpgp_key_counts_no_more(signers, pgp_signer):
    ops = pgp_signer("revoked")
    cert = ops.key.extract_certificate()
    (signers.path / "ops.asc").write_bytes(bytes(cert) + bytes(cert.revoke(ops.key.certifier())))

    assert "was revoked" in objection(Signed(TEXT, ops(TEXT).encode()), signers.keys(["ops"]), TODAY)


def test_what_is_no_certificate_lets_nobody_sign(signers):
    (signers.path / "ops.asc").write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxx\n-----END")
    with pytest.raises(SignersError, match="no OpenPGP certificates"):
        signers.keys(["ops"])


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"-----BEGIN SSH SIGNATURE-----\n", b"-----BEGIN PGP SIGNATURE-----\n\n"]),
)
def test_no_bytes_are_a_signature_by_accident(junk, head):
    assert objection(Signed(TEXT, head + junk + b"\n-----END SSH SIGNATURE-----\n"), Keys(), NOW)


def test_what_a_commit_signs_is_all_but_its_signatures():
    raw = b"tree 0\ngpgsig -----BEGIN\n x\n -----END\ngpgsig-sha256 y\n z\nencoding x\n\ngpgsig no header\n"

    assert signed_commit(raw) == Signed(b"tree 0\nencoding x\n\ngpgsig no header\n", b"-----BEGIN\nx\n-----END\n")
    assert signed_commit(TEXT) == Signed(TEXT)
    with pytest.raises(BadObjectError):
        signed_commit(b"tree 0\ngpgsig a\ngpgsig b\n\n")


def test_a_tag_says_its_name_its_commit_and_its_signature():
    text = b"object 1234\ntype commit\ntag v1\ntagger A\n\nsays -----BEGIN PGP SIGNATURE----- inside\n"
    tag = signed_tag(text + b"-----BEGIN PGP SIGNATURE-----\nx\n")

    assert (tag.name, tag.commit) == ("v1", "1234")
    assert tag.signed == Signed(text, b"-----BEGIN PGP SIGNATURE-----\nx\n")
    assert signed_tag(text).signed == Signed(text)
    assert signed_tag(text.replace(b"type commit", b"type tag")).commit == ""


@pytest.mark.parametrize("form", ["ssh", "openpgp"])
def test_what_git_itself_signed_counts(signers, ssh_signer, tmp_path, form):
    """A commit and a tag of the real git, signed by the real ssh-keygen or gpg."""
    repository, home = tmp_path / "r", tmp_path / "gnupg"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GNUPGHOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}

    def run(*command, **how):
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True, **how).stdout

    who = ("-c", "user.name=Ops", "-c", "user.email=ops@example.org", "-c", f"gpg.format={form}")
    if form == "ssh":
        key = ssh_signer("ops")
        keys = allowed(signers, f"ops@example.org {key.public}")
        who += ("-c", f"user.signingKey={key.file}")
    else:
        if not shutil.which("gpg"):
            pytest.skip("gpg is not installed (Debian: gnupg)")
        home.mkdir(mode=0o700)
        run("gpg", "--batch", "--passphrase", "", "--quick-gen-key", "ops@example.org", "ed25519", "sign", "2y")
        (signers.path / "ops.asc").write_bytes(run("gpg", "--armor", "--export", "ops@example.org"))
        keys = signers.keys(["ops"])
        who += ("-c", "user.signingKey=ops@example.org")
    run("git", "init", "-q", str(repository))
    git = ("git", "-C", str(repository), *who)
    run(*git, "commit", "-q", "--allow-empty", "-S", "-m", "héllo")
    run(*git, "tag", "-s", "-m", "the first", "v1")
    if form == "openpgp":
        run("gpgconf", "--kill", "all")
    commit = signed_commit(run(*git, "cat-file", "commit", "HEAD"))
    tag = signed_tag(run(*git, "cat-file", "tag", "v1"))

    assert objection(commit, keys, datetime.now(UTC)) == ""
    assert objection(tag.signed, keys, datetime.now(UTC)) == ""
    assert (tag.name, tag.commit) == ("v1", run(*git, "rev-parse", "HEAD").decode().strip())


def test_a_certificate_that_is_too_weak_is_called_so(signers, tmp_path):
    """SHA-1 in its own signatures, as old keys have it."""
    if not shutil.which("gpg"):
        pytest.skip("gpg is not installed (Debian: gnupg)")
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)

    def gpg(*command):
        options = ("--homedir", str(home), "--batch", "--passphrase", "", "--cert-digest-algo", "SHA1", "--armor")
        return subprocess.run(["gpg", *options, *command], input=TEXT, capture_output=True, check=True).stdout

    gpg("--quick-gen-key", "ops@example.org", "rsa2048", "sign", "2y")
    (signers.path / "ops.asc").write_bytes(gpg("--export"))
    signature = gpg("--detach-sign")
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)

    assert "too weak to count" in objection(Signed(TEXT, signature), signers.keys(["ops"]), TODAY)
