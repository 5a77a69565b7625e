"""Read what a process costs from /proc: resident memory, CPU seconds."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
KIB = 1024


def rss_mib(pid, name="VmRSS"):
    """Return the resident memory of a process; `VmHWM` is its peak."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / KIB
    raise LookupError(name)


def cpu_s(pid):
    """Return the CPU seconds of a process and of its children that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(each) for each in fields[11:15]) / TICKS


def children(pid):
    """Return pid → command of a process's living children."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found[int(child)] = Path(f"/proc/{child}/comm").read_text().strip()
    return found
