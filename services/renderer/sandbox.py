"""Confine the process that calls it, for good: files, network, memory, processor time.

Two locks lie over each other, because each has holes of its own. Landlock leaves this process its own folder and what
Python, kubectl and Helm need to read; a network namespace without any route leaves it nobody to talk to. Where the
kernel refuses a namespace (containers often do), Landlock denies TCP instead.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
# Landlock's rights over the network, since ABI 4: to bind and to connect by TCP.
TCP = 0b11
ABI_OF_TCP = 4

DEVICES = ("/dev/null", "/dev/urandom", "/dev/zero")
SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
# Go reserves addresses by the gigabyte and uses few of them; what counts is `memory_bytes`.
RESERVED_BYTES = 4 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may take."""

    wall_s: float = 60.0
    cpu_s: int = 45
    memory_bytes: int = 1 << 30
    file_bytes: int = 64 << 20
    """Of a file that it writes."""
    output_bytes: int = 64 << 20
    """Of what it answers."""


def limit(limits: Limits) -> None:
    """Set the limits that hold for this process and its children, and let it die with its parent."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    address_bytes = limits.memory_bytes + RESERVED_BYTES
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_AS, address_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, 512),
    ):
        _, hard = resource.getrlimit(kind)
        bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bounded, bounded))


def allow_cpu(seconds: int) -> None:
    """Let this process use `seconds` more of processor time before the kernel ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds, hard))


def confine(folder: Path, readable: Iterable[Path]) -> list[str]:
    """Leave this process nothing but `folder`, what it runs from, and `readable`; return what could not be taken away.

    It must be called before a second thread exists.
    """
    missing = []
    if not _leave_network() and not _deny_tcp():
        missing.append("network: neither a namespace nor Landlock's TCP rules are to be had")
    try:
        _restrict_files(folder, readable)
    except (ImportError, OSError) as error:
        missing.append(f"files: Landlock is not to be had: {error}".splitlines()[0])
    return missing


def _leave_network() -> bool:
    """Move into a network of our own that has no way out."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare"):
        return False
    return any(libc.unshare(flags) == 0 for flags in (CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET))


class _NetworkRules(ctypes.Structure):
    """`landlock_ruleset_attr` as ABI 4 has it; the library knows its first field only."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64))


def _deny_tcp() -> bool:
    try:
        from landlock import landlock_abi_version, plumbing  # noqa: PLC0415  # an extra

        if landlock_abi_version() < ABI_OF_TCP:
            return False
        libc = plumbing.get_libc()
        rules = _NetworkRules(0, TCP)
        size = ctypes.sizeof(rules)
        descriptor = libc.syscall(ctypes.c_long(plumbing.SYSCALL_CREATE_RULESET), ctypes.byref(rules), size, 0)
        plumbing.get_prctl()(plumbing.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        plumbing.get_restrict_self()(descriptor, 0)
        os.close(descriptor)
    except (ImportError, OSError):
        return False
    return True


def _restrict_files(folder: Path, readable: Iterable[Path]) -> None:
    from landlock import FSAccess, Ruleset  # noqa: PLC0415  # an extra: the command line alone does without

    read_one = FSAccess.READ_FILE | FSAccess.EXECUTE
    # The library takes any errno for a failure, an old one too.
    ctypes.set_errno(0)
    rules = Ruleset()
    rules.allow(folder)
    for path in {*_own_paths(), *readable}:
        # What may not be opened anyway needs no permission.
        if os.access(path, os.R_OK):
            rules.allow(path, rules=read_one | FSAccess.READ_DIR if path.is_dir() else read_one)
    for device in DEVICES:
        rules.allow(device, rules=FSAccess.READ_FILE | FSAccess.WRITE_FILE)
    rules.apply()


def _own_paths() -> set[Path]:
    """Return where Python and the libraries it loads live."""
    paths = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    # The standard library of the interpreter that the environment was made from.
    return paths | {Path(sys.base_prefix, "lib"), *map(Path, SYSTEM)}
