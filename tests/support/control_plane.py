"""A real Kubernetes for tests: etcd, API server, controller manager, scheduler and kwok as the kubelet, on loopback.

Each has a folder, ports, certificates and users of its own, so several run at once. They end with the test process,
however that ends. `make control-plane` builds what runs here.
"""

import asyncio
import base64
import contextlib
import ctypes
import json
import random
import secrets
import shutil
import signal
import socket
import subprocess
from contextlib import asynccontextmanager

from services.applier.kube.access import Access
from services.applier.kube.credentials import FixedCredentials
from services.applier.kube.session import ClusterUnreachableError, Request, Session
from tests.support import control_plane_build
from tests.support.authority import Authority, new_key, pem, public_pem

# Below the ports that the kernel gives to clients: one of ours could sit on a port when its server comes back.
PORTS = range(20000, 32000)
START_S = 60.0
PR_SET_PDEATHSIG = 1
ETCD, API_SERVER, CONTROLLERS, SCHEDULER, KWOK = PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
)
USERS = {
    "admin": ("admin", "system:masters"),
    CONTROLLERS: (f"system:{CONTROLLERS}", ""),
    SCHEDULER: (f"system:{SCHEDULER}", ""),
    KWOK: ("kwok", "system:masters"),
}
NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "node", "labels": {"kubernetes.io/os": "linux", "kubernetes.io/hostname": "node"}},
    "status": {
        name: {"cpu": "1000", "memory": "4000Gi", "pods": "100000", "ephemeral-storage": "4000Gi"}
        for name in ("capacity", "allocatable")
    },
}


AUDITED = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "users": [f"system:{name}" for name in ("apiserver", CONTROLLERS, SCHEDULER)]},
        {"level": "None", "users": ["kwok"]},
        {"level": "None", "nonResourceURLs": ["/readyz"], "userGroups": ["system:masters"]},
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Request", "verbs": ["delete", "deletecollection"]},
        {"level": "Metadata"},
    ],
}
"""What clients ask is written down; of deletes their preconditions too."""


class Program:
    """One child process that can be stopped, continued, killed and started again."""

    def __init__(self, arguments, log):
        self._arguments, self._log = arguments, log
        self._process = None

    def start(self):
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call into libc, which takes no lock
            )

    def signal(self, number):
        self._process.send_signal(number)

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def check(self):
        """Fail when it ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            lines = self._log.read_text("utf-8", "replace").splitlines()
            raise AssertionError(f"{self._log.stem} ended: {lines[-5:]}")

    @property
    def pid(self):
        return self._process.pid


class ControlPlane:
    """One cluster; `access` and `kubeconfig` are its administrator's."""

    context = "admin"

    def __init__(self, folder):
        self.folder = folder
        self._authority = Authority("towline-tests")
        self._tokens = {name: secrets.token_hex(16) for name in USERS}
        self.port, self._etcd_port, self._peer_port = _free_ports(3)
        self.server = f"https://127.0.0.1:{self.port}"
        self.access = self._access(authorization=f"Bearer {self._tokens['admin']}")
        self.programs = {}

    @property
    def kubeconfig(self):
        return self.folder / "admin.kubeconfig"

    async def start(self):
        """Start everything and return when Deployments can become Available."""
        self._write()
        binaries = control_plane_build.folder()
        for name in PROGRAMS:
            first = [binaries / KWOK] if name == KWOK else [binaries / "control-plane", name]
            flags = [f"--{flag}={value}" for flag, value in self._flags(name).items()]
            self.programs[name] = Program([*map(str, first), *flags], self.folder / f"{name}.log")
        await self._start_all()

    async def _start_all(self):
        self.programs[ETCD].start()
        self.programs[API_SERVER].start()
        await self.ready()
        for name in (CONTROLLERS, SCHEDULER, KWOK):
            self.programs[name].start()
        async with self._session() as session:
            await session.send(Request("POST", "/api/v1/nodes", body=json.dumps(NODE).encode()))
            await self._until(lambda: _works(session), "its controllers")

    def end(self):
        for program in reversed(self.programs.values()):
            program.kill()

    async def ready(self):
        """Return when the API server says that it is ready."""
        async with self._session() as session:

            async def is_ready():
                reply = await session.send(Request("GET", "/readyz"), retries=0)
                return reply.ok

            await self._until(is_ready, "the API server")

    async def _until(self, true, what):
        try:
            async with asyncio.timeout(START_S):
                while not await _answered(true):
                    for program in self.programs.values():
                        program.check()
                    await asyncio.sleep(0.03)  # other programs' state: nothing here can wait for it but by asking
        except TimeoutError:
            raise AssertionError(f"{what} not ready after {START_S:g} s: see {self.folder}") from None

    def pause(self, name=API_SERVER):
        """Stop a program where it is: its connections stay open and nobody answers."""
        self.programs[name].signal(signal.SIGSTOP)

    def resume(self, name=API_SERVER):
        self.programs[name].signal(signal.SIGCONT)

    def kill(self, name=API_SERVER):
        self.programs[name].kill()

    async def restart(self, name=API_SERVER):
        """Kill a program, start it again, and return when the API server is ready."""
        self.kill(name)
        self.programs[name].start()
        await self.ready()

    def copy_etcd(self):
        """Return a copy of etcd's files as a power cut would leave them now."""
        copy = self.folder / f"etcd-copy-{secrets.token_hex(4)}"
        self.pause(ETCD)
        try:
            shutil.copytree(self.folder / ETCD, copy)
        finally:
            self.resume(ETCD)
        return copy

    async def restore_etcd(self, copy):
        """Bring an older state back, as an owner would: everything stopped, the files replaced, everything started."""
        self.end()
        shutil.rmtree(self.folder / ETCD)
        shutil.copytree(copy, self.folder / ETCD)
        await self._start_all()

    def asked(self, user_agent):
        """Return what clients of this kind asked for, oldest first, as audit events; the answers are out."""
        lines = (self.folder / "audit.log").read_text("utf-8").splitlines()
        events = [json.loads(line) for line in lines]
        return [each for each in events if each.get("userAgent", "").startswith(user_agent)]

    def user(self, name, *groups):
        """Return the access of a user by certificate; it may do what RBAC grants to the name or its groups."""
        certificate, key = self._authority.user(name, *groups)
        return self._access(certificate=certificate, key=key)

    def kubeconfig_of(self, name, access):
        """Write a kubeconfig for an access and return its path."""
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(_kubeconfig(name, access)), "utf-8")
        return path

    def _access(self, **how):
        return Access(server=self.server, ca=self._authority.certificate, **how)

    @asynccontextmanager
    async def _session(self):
        async with Session.connect(FixedCredentials(self.access), agent="towline-tests") as session:
            yield session

    def _write(self):
        """Write the files that the programs read."""
        self.folder.mkdir(parents=True, exist_ok=True)
        certificate, key = self._authority.server()
        signing = new_key()
        rows = [f'{self._tokens[name]},{user},{user},"{groups}"' for name, (user, groups) in USERS.items()]
        files = {
            "ca.crt": self._authority.certificate,
            "server.crt": certificate,
            "server.key": key,
            "accounts.key": pem(signing),
            "accounts.pub": public_pem(signing),
            "tokens.csv": "\n".join(rows),
            "audit.json": json.dumps(AUDITED),
        }
        for name, text in files.items():
            (self.folder / name).write_text(text, "utf-8")
        for name in USERS:
            self.kubeconfig_of(name, self._access(authorization=f"Bearer {self._tokens[name]}"))

    def _flags(self, name):
        file = {path: self.folder / path for path in ("ca.crt", "server.crt", "server.key", "accounts.key")}
        kubeconfig = {"kubeconfig": self.folder / f"{name}.kubeconfig"}
        own = f"http://127.0.0.1:{self._etcd_port}"
        peer = f"http://127.0.0.1:{self._peer_port}"
        match name:
            case "etcd":
                return {
                    "data-dir": self.folder / ETCD,
                    "unsafe-no-fsync": "true",
                    "listen-client-urls": own,
                    "advertise-client-urls": own,
                    "listen-peer-urls": peer,
                    "initial-advertise-peer-urls": peer,
                    "initial-cluster": f"default={peer}",
                    "log-level": "warn",
                }
            case "kube-apiserver":
                return {
                    "etcd-servers": own,
                    "bind-address": "127.0.0.1",
                    "secure-port": self.port,
                    "tls-cert-file": file["server.crt"],
                    "tls-private-key-file": file["server.key"],
                    "client-ca-file": file["ca.crt"],
                    "token-auth-file": self.folder / "tokens.csv",
                    "authorization-mode": "RBAC",
                    "service-account-issuer": "https://kubernetes.default.svc",
                    "service-account-signing-key-file": file["accounts.key"],
                    "service-account-key-file": self.folder / "accounts.pub",
                    "service-cluster-ip-range": "10.96.0.0/16",
                    "endpoint-reconciler-type": "none",
                    "allow-privileged": "true",
                    "audit-policy-file": self.folder / "audit.json",
                    "audit-log-path": self.folder / "audit.log",
                    "audit-log-mode": "blocking",
                }
            case "kube-controller-manager":
                return {
                    **kubeconfig,
                    "leader-elect": "false",
                    "secure-port": 0,
                    "use-service-account-credentials": "true",
                    "service-account-private-key-file": file["accounts.key"],
                    "root-ca-file": file["ca.crt"],
                    "kube-api-qps": 1000,
                    "kube-api-burst": 2000,
                }
            case "kube-scheduler":
                return {**kubeconfig, "leader-elect": "false", "secure-port": 0}
        return {
            **kubeconfig,
            "config": control_plane_build.folder() / "stages.yaml",
            "manage-all-nodes": "true",
            "node-lease-duration-seconds": 40,
            "server-address": "",
        }


@asynccontextmanager
async def running_control_plane(folder):
    """Run one until the block ends."""
    plane = ControlPlane(folder)
    try:
        await plane.start()
        yield plane
    finally:
        plane.end()


async def _answered(true):
    with contextlib.suppress(ClusterUnreachableError):
        return await true()
    return False


async def _works(session):
    """Tell whether the node takes pods and pods find their service account."""
    node = await session.send(Request("GET", "/api/v1/nodes/node"))
    account = await session.send(Request("GET", "/api/v1/namespaces/default/serviceaccounts/default"))
    if not (node.ok and account.ok):
        return False
    conditions = {each["type"]: each["status"] for each in node.body.get("status", {}).get("conditions", ())}
    return conditions.get("Ready") == "True" and not node.body["spec"].get("taints")


def _kubeconfig(name, access):
    user = {
        "token": access.authorization.removeprefix("Bearer "),
        "client-certificate-data": _base64(access.certificate),
        "client-key-data": _base64(access.key),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": access.server, "certificate-authority-data": _base64(access.ca)}}
        ],
        "users": [{"name": name, "user": {field: value for field, value in user.items() if value}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def _base64(text):
    return base64.b64encode(text.encode()).decode()


def _free_ports(count):
    """Return ports that nobody has now."""
    ports = []
    while len(ports) < count:
        port = random.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
    return ports


def _die_with_parent():
    with contextlib.suppress(AttributeError, OSError):  # Linux only; elsewhere the fixture's end must do
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
