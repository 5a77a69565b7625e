"""Read what `strace -ff -y` wrote: which processes were confined, and what they opened and whom they called afterwards."""

import re
from dataclasses import dataclass

WATCHED = "open,openat,openat2,creat,execve,connect,bind,landlock_restrict_self,clone,clone3,fork,vfork"
WORDS = ("strace", "-ff", "-y", "-qq", "--seccomp-bpf", "-s", "200", "-e", f"trace={WATCHED}")
_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+)(?:<(.*?)>)?(?: .*)?$")
_OPENS = frozenset({"open", "openat", "openat2", "creat"})
_STARTS = frozenset({"clone", "clone3", "fork", "vfork"})


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it ended; `path` is that of the descriptor which it gave."""

    name: str
    arguments: str
    result: int
    path: str


def confined_calls(folder, prefix):
    """Return the calls of every process after it was confined, or from its start where its parent was."""
    calls = {int(each.suffix[1:]): list(_calls(each)) for each in sorted(folder.glob(f"{prefix}.*"))}
    begins = {pid: each for pid, own in calls.items() if (each := _confined_at(own)) is not None}
    waiting = list(begins)
    while waiting:
        pid = waiting.pop()
        for call in calls[pid][begins[pid] :]:
            if call.name in _STARTS and call.result in calls and call.result not in begins:
                begins[call.result] = 0
                waiting.append(call.result)
    return {pid: calls[pid][begin:] for pid, begin in begins.items()}


def opened(calls):
    """Return the paths of all files that were opened."""
    return {call.path for own in calls.values() for call in own if call.name in _OPENS and call.result >= 0}


def connected(calls):
    """Return the calls by which a connection came about, or a port was taken."""
    return [call for own in calls.values() for call in own if call.name in {"connect", "bind"} and call.result == 0]


def _calls(file):
    for line in file.read_text(errors="replace").splitlines():
        if found := _CALL.match(line):
            yield Call(found[1], found[2], int(found[3]), found[4] or "")


def _confined_at(calls):
    """Return the place behind the last lock that a process put on itself."""
    found = [index for index, each in enumerate(calls) if each.name == "landlock_restrict_self" and each.result == 0]
    return found[-1] + 1 if found else None
