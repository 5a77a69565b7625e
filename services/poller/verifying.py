"""Judge a tip by the signatures that its source must carry; what does not pass is never observed.

`head` asks for the tip alone. `strict` asks for every commit since the last one that was taken, merges included; of a
repository that is seen for the first time it asks for the tip. An annotated tag that a signer signed under the ref's own
name vouches for its commit as a signature of the commit would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.poller.refs import Chosen
from services.poller.signers import Keys, Signers
from services.poller.state import Followed
from services.poller.vouching import objection
from shared.errors import PermanentError
from shared.git.mirror import Mirror
from shared.git.objects import BadObjectError
from shared.git.remote import TAGS
from shared.git.signatures import signed_commit, signed_tag
from shared.messages.sources import STRICT, Verify

COMMITS = 2000
"""More of them are not verified at once."""


class UnverifiedError(PermanentError):
    """A commit does not carry the signature that it must; the source stays at the last one that did."""

    code = "source.unverified"


@dataclass(frozen=True, slots=True)
class Verifier:
    """Judges the tips of one mirror. Its method blocks."""

    mirror: Mirror
    signers: Signers
    now: datetime

    def check(self, followed: Followed, tip: Chosen, object_id: str) -> str:
        """Return the rules that the tip passed, as text; `object_id` is what its ref points to.

        Raises:
            UnverifiedError: a commit carries no signature that counts. `SignersError`: there are no keys to judge by.
        """
        known, rules = followed.revision, rules_of(followed.verify)
        if known is not None and known.commit.id == tip.commit and followed.verified == rules:
            return rules
        for verify in followed.verify:
            before = known.commit.id if known is not None and followed.verified == rules else ""
            self._check(verify, tip, object_id, before)
        return rules

    def _check(self, verify: Verify, tip: Chosen, object_id: str, before: str) -> None:
        judge = _Judge(self.mirror.raw(), self.signers.keys(verify.signers), self.now)
        why = judge.of_tip(tip, object_id)
        if why:
            raise _unverified(tip.commit, tip, why, verify.signers)
        if verify.mode != STRICT or not before:
            return
        commits = self.mirror.between(before, tip.commit, COMMITS)
        if len(commits) == COMMITS:
            raise UnverifiedError(
                f"{tip.ref} has more than {COMMITS} commits since {before[:12]}: too many to verify at once",
                hint="set its mode to head until the tip was taken",
            )
        # The oldest first: it is the one to sign anew before all others.
        for commit in reversed(commits):
            if why := judge.of_commit(commit):
                raise _unverified(commit, tip, why, verify.signers)


@dataclass(frozen=True, slots=True)
class _Judge:
    """Reads objects, and judges them by one set of keys. Blocks."""

    raw: Callable[[str], bytes]
    keys: Keys
    now: datetime

    def of_tip(self, tip: Chosen, object_id: str) -> str:
        """Return why neither the commit nor the tag that leads to it counts, or nothing."""
        why = self.of_commit(tip.commit)
        if not why or object_id == tip.commit:
            return why
        tag = signed_tag(self.raw(object_id))
        if tag.commit != tip.commit or not tag.signed.signature:
            return why
        if TAGS + tag.name != tip.ref:
            return f"{why}, and the tag that leads to it was signed as {tag.name!r}"
        wrong = objection(tag.signed, self.keys, self.now)
        return f"{why}; of the tag that leads to it: {wrong}" if wrong else ""

    def of_commit(self, commit: str) -> str:
        """Return why a commit's own signature does not count, or nothing."""
        try:
            return objection(signed_commit(self.raw(commit)), self.keys, self.now)
        except BadObjectError as error:
            return error.message


def rules_of(verify: Sequence[Verify]) -> str:
    """Return the rules as text, to tell whether others count now."""
    return "; ".join(f"{each.mode} by {', '.join(each.signers)}" for each in verify)


def _unverified(commit: str, tip: Chosen, why: str, signers: Sequence[str]) -> UnverifiedError:
    built_on = "" if commit == tip.commit else f", which {tip.commit[:12]} builds on,"
    return UnverifiedError(
        f"the commit {commit[:12]} of {tip.ref}{built_on} is not verified: {why}",
        hint=f"let a signer sign it ({', '.join(signers)}), or give the hub the missing key",
    )
