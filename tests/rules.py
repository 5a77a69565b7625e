"""Write the table of which test proves which rule of the applier: `python -m tests.rules`.

A test proves a rule when its docstring begins with the rule's id (`I6, Q2: ...`) or its name ends in it (`..._i6`).
Ids count only in the files named here, for elsewhere the same letters name acceptance tests and invariants.
"""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
TABLE = TESTS / "README.md"
HOMES = (
    "unit/test_applier_*.py",
    "unit/test_renderer_finish.py",
    "integration/test_applier_*.py",
    "contract/test_*.py",
    "cluster/test_*.py",
    "e2e/test_agent_*.py",
)
DOCSTRING = re.compile(r"([A-Z]\d+(?:, [A-Z]\d+)*)[:.]")
NAME = re.compile(r"(?:_[a-r]\d+)+$")

RULES = {
    "A1": "Act only on what is signed, and equal to its digest",
    "A2": "Refuse a bundle that is not whole; what ran before stays",
    "A3": "Take no release that is not newer",
    "A4": "Take canonical JSON only",
    "A5": "Take lists apart; apply none",
    "A6": "Name what lacks kind, version or name; a hook may leave its name open",
    "A7": "Refuse two objects of one identity that differ",
    "A8": "Know where each object belongs: namespaced or not, and in which namespace",
    "A9": "Leave out what is no object for a cluster",
    "A10": "Refuse what no cluster could store, before any write",
    "A11": "Hold an emptied bundle",
    "A12": "Warn of names and values that are not known",
    "A13": "Tell all findings at once",
    "A14": "Refuse an object that lost its whole body",
    "B1": "Take away what only servers and tools write",
    "B2": "Take away nulls, and empties that are rewritten at every apply",
    "B3": "Turn stringData into data; refuse values that are no strings",
    "B4": "Name the protocol of every port",
    "B5": "Take away caBundles that are none",
    "B6": "Leave aggregated rules to their controller",
    "B7": "Take away empty addresses of Services",
    "B8": "Mark every object with agent and owner, never its pods",
    "B9": "Keep common labels out of selectors and pod templates",
    "C1": "Go by hooks and waves; refuse a wave that is no number",
    "C2": "Inside a wave go by kind",
    "C3": "Apply a stage's objects at once, and tell of them in one order",
    "C4": "Pull forward what others depend on",
    "C5": "Refuse exactly what depends on itself",
    "C6": "Wait until a new kind is served",
    "C7": "Try again while a new kind's storage starts",
    "C8": "Wait until a namespace can be used",
    "C9": "Begin a wave when the one before does well",
    "C10": "Keep the order of apps that depend on each other",
    "C11": "Delete in the opposite order",
    "D1": "Write by server-side apply only, strictly",
    "D2": "Ask nothing about what is as it was left",
    "D3": "Send one write for one changed object",
    "D4": "Ask beforehand where that is wanted",
    "D5": "Know created, changed and unchanged apart",
    "D6": "Make anew what was being deleted, when it is gone",
    "D7": "Remember what each write left behind",
    "D8": "Never change a stranger of the same name",
    "D9": "Make once, and never change, what asks for that",
    "D10": "Take over the fields of tools that came before",
    "D11": "Take over the fields of older versions of ourselves",
    "D12": "Repair owners' entries of versions that are gone",
    "D13": "Pass on the API server's warnings",
    "D14": "Go on where a webhook cannot be asked beforehand",
    "D15": "Refuse changes of a definition that would lose objects",
    "D16": "Use a changed definition at once; share equal ones",
    "D17": "Notice what the API server dropped or changed",
    "E1": "Give every failure one class",
    "E2": "Know a bad manifest and an oversized object behind a 500",
    "E3": "Call immutable only what is",
    "E4": "Try again, in measure, what passes by itself",
    "E5": "Try nothing again that cannot succeed",
    "E6": "Try a failed release again, sooner when something changed",
    "E7": "Let one object's failure stop only what builds on it",
    "E8": "Stop at the first failure where that is wanted",
    "E9": "Write all or nothing where that is wanted",
    "E10": "Tell which workloads a failed object may affect",
    "E11": "Count every outcome, and name the failures",
    "E12": "Keep a bug with its object",
    "E13": "Disbelieve a server that is just starting",
    "F1": "Delete only what left, and what nobody else wants",
    "F2": "Delete only after everything else went well",
    "F3": "Forget an object only when it is known to be gone",
    "F4": "Look once more before each deletion; release what is kept",
    "F5": "Hold mass deletions and those of what holds data",
    "F6": "Delete the very object that was meant, as it asks to be",
    "F7": "Delete once, then wait and tell what blocks",
    "F8": "Delete a namespace only when it is ours and empty",
    "F9": "Keep definitions unless asked",
    "F10": "Leave to controllers what they made",
    "F11": "Give up a kind only when it is surely gone",
    "F12": "Remove an app only on a signed tombstone, in its own way",
    "F13": "Remove in order, the inventory last",
    "F14": "Remove nothing while suspended",
    "F15": "Hold single objects that ask for a person",
    "F16": "Hold the deletion of the agent's own things",
    "G1": "Adopt by the app's policy",
    "G2": "Leave to other tools what they track",
    "G3": "Force, fail or yield where fields conflict",
    "G4": "Leave fields to the controllers that must have them",
    "G5": "Let one app own an object; hand it over without a delete",
    "G6": "Decide about ownership before writing",
    "G7": "Put our mark back; fight nobody's",
    "H1": "Fail at an immutable field, and say which",
    "H2": "Make anew only kinds and objects that may be",
    "H3": "Make anew by its UID, and heal when cut off",
    "H4": "Make anew once, and not for drift",
    "H5": "Advise a new name",
    "H6": "Keep the pods of a StatefulSet that is made anew",
    "I1": "Watch each kind that is owned, once",
    "I2": "See a foreign change in seconds, and everything within the hour",
    "I3": "Know drift from what controllers do",
    "I4": "Confirm what is doubtful before acting",
    "I5": "Say who changed what",
    "I6": "Correct, report or ignore, as app or object ask",
    "I7": "Judge by what was applied last",
    "I8": "Leave ignored fields to others",
    "I9": "Give up a fight, for a while",
    "I10": "Report while suspended, write nothing",
    "I11": "Take away what people added by hand, keep what controllers add",
    "I12": "Call no change of a kept object drift",
    "I13": "Heal in order, without hooks",
    "J1": "Judge health by kind",
    "J2": "Judge by what the watches tell",
    "J3": "Judge only the object and generation that was applied",
    "J4": "Wait as long as app or object say",
    "J5": "Stop waiting when the end is known",
    "J6": "Judge by users' expressions, within limits",
    "J7": "Know a finished Job that cleaned itself up",
    "J8": "Go on watching after success",
    "J9": "Wait for nothing that is skipped",
    "K1": "Keep hooks apart from objects",
    "K2": "Stop at a failed hook",
    "K3": "Never start a hook twice",
    "K4": "Clear a hook away as it asks",
    "K5": "Run a hook again only when it failed itself",
    "K6": "Know how a hook ended",
    "K7": "Give nameless hooks the same name in every attempt",
    "K8": "Skip hooks that no delivery runs, with a word",
    "L1": "Keep what is needed to go back",
    "L2": "Go back by itself once, where that is wanted",
    "L3": "Lose no data by going back",
    "L4": "Say that it went back",
    "M1": "Keep what matters in the cluster, bound to its UID",
    "M2": "Remember of each object what the next run needs",
    "M3": "End the same, however often it is cut off",
    "M4": "Let one agent write",
    "M5": "Stop gracefully",
    "M6": "Take a newer release between waves",
    "M7": "Find a lost inventory again by our marks; delete nothing then",
    "M8": "Touch nothing with a damaged inventory",
    "N1": "Pause while the API server is away",
    "N2": "Go on while the bus is away",
    "N3": "Slow down when asked to",
    "N4": "Wait for no answer for ever",
    "N5": "Know another or an older cluster behind the same address",
    "N6": "Trust no clock",
    "N7": "Repeat safely what was cut off",
    "N8": "Stay small",
    "N9": "Start without asking about every object",
    "O1": "Act as the app's service account",
    "O2": "Refuse to act as one that does not exist",
    "O3": "Say which right is missing, ready to be granted",
    "O4": "Keep an app inside its fences",
    "O5": "Let a missing right stop its app only",
    "O6": "Delete by the present identity",
    "O7": "Hold a removal whose identity is gone",
    "O8": "Never act as a group",
    "O9": "Let no bundle write our marks",
    "P1": "Let no secret leave the agent",
    "P2": "Cut error texts to what names fields",
    "P3": "Key the digests of secrets",
    "P4": "Make differences after masking, and short",
    "P5": "Refuse what nobody decrypted",
    "P6": "Mask custom kinds of secrets",
    "Q1": "Write nothing that is suspended: cluster, app or object",
    "Q2": "Look at everything when resumed",
    "Q3": "Take a person's actions once, with who and why",
    "Q4": "Only plan, where that is wanted",
    "Q5": "Keep to the windows",
    "R1": "Report each run once, and the state at every beat",
    "R2": "Answer about any object",
    "R3": "Know applied and healthy apart",
    "R4": "Leave Events in the cluster",
}
ABOUT = """\
# Tests

`unit` holds what is pure, `integration` one program with real servers (nats-server, git, a simulated Kubernetes API), `contract` what both
the simulated and the real API must answer, `cluster` the agent on a real control plane, `e2e` the whole line, `bench` the figures.
Fixtures are in `support`. `make test` leaves out what is marked `slow` or `long`.

## Which test proves which rule of the applier

Written by `python -m tests.rules` from docstrings that begin with a rule's id and names that end in one; a test holds it to the code.

| rule | what it demands | proven by |
| --- | --- | --- |
"""


def proofs():
    """Return the tests of each rule, as `file::name`."""
    found = {rule: [] for rule in RULES}
    for home in HOMES:
        for path in sorted(TESTS.glob(home)):
            for test in tests_of(ast.parse(path.read_text())):
                for rule in ids_of(test):
                    found[rule].append(f"{path.relative_to(TESTS)}::{test.name}")
    return {rule: tuple(dict.fromkeys(tests)) for rule, tests in found.items()}


def tests_of(tree):
    """Return the test functions of a module, and its classes, which may be state machines."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        or (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"))
    ]


def ids_of(test):
    """Return the rules that a test names; other ids, like A01, are no rules."""
    said = DOCSTRING.match(ast.get_docstring(test) or "")
    named = NAME.search(test.name)
    ids = [*(said[1].split(", ") if said else ()), *(named[0].upper().split("_")[1:] if named else ())]
    return [each for each in ids if each in RULES]


def table():
    """Return the whole README."""
    rows = [f"| {rule} | {RULES[rule]} | {_cell(tests)} |" for rule, tests in proofs().items()]
    return ABOUT + "\n".join(rows) + "\n"


def _cell(tests):
    by_file = {}
    for test in tests:
        file, _, name = test.partition("::")
        by_file.setdefault(file, []).append(name.removeprefix("test_"))
    return "<br>".join(f"`{file}`: {', '.join(names)}" for file, names in by_file.items())


if __name__ == "__main__":
    TABLE.write_text(table())
