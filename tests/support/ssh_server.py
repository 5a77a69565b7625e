"""A real sshd on loopback, one process a connection, for repositories on disk."""

import getpass
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.git_server import Repositories
from tests.support.signing import SshSigner

SSHD = "/usr/sbin/sshd"

CONFIG = """HostKey {host_key}
AuthorizedKeysFile {authorized}
AuthenticationMethods publickey
StrictModes no
UsePAM no
PidFile none
LogLevel VERBOSE
"""


class SshServer(Repositories):
    """Repositories behind ssh; `host_key` may be put in another's place while it runs."""

    def __init__(self, root: Path, host_key: SshSigner, user_key: SshSigner) -> None:
        super().__init__(root)
        self.host_key = host_key
        self.user_key = user_key
        self.user = getpass.getuser()
        self.connections = 0
        self.hang = threading.Event()
        """Once it is set, connections get no answer."""
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port on loopback."""
        return self._listener.getsockname()[1]

    @property
    def known_hosts(self) -> str:
        """The line with which a client knows this server."""
        return f"[127.0.0.1]:{self.port} {self.host_key.public}\n"

    def url(self, name: str) -> str:
        """Return the URL of the repository `name`."""
        return f"ssh://{self.user}@127.0.0.1:{self.port}{self.path(name)}"

    def close(self) -> None:
        """Stop answering."""
        self._stopping.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        authorized = self.root / "authorized_keys"
        running = []
        while True:
            connection, _ = self._listener.accept()
            if self._stopping.is_set():
                connection.close()
                break
            self.connections += 1
            if self.hang.is_set():
                running.append((None, connection))
                continue
            authorized.write_text(self.user_key.public)
            config = self.root / "sshd_config"
            config.write_text(CONFIG.format(host_key=self.host_key.file, authorized=authorized))
            with (self.root / "sshd.log").open("ab") as log:
                command = [SSHD, "-i", "-e", "-f", str(config)]
                running.append((subprocess.Popen(command, stdin=connection, stdout=connection, stderr=log), connection))
            connection.close()
        for process, connection in running:
            connection.close()
            if process is not None:
                process.terminate()
                process.wait()


@pytest.fixture
def ssh_server(tmp_path_factory, ssh_signer) -> Iterator[SshServer]:
    """A server that knows one key."""
    if not Path(SSHD).exists() or not shutil.which("git"):
        pytest.skip("sshd is not installed (Debian: openssh-server)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = SshServer(tmp_path_factory.mktemp("ssh-git"), ssh_signer("host"), ssh_signer("user"))
    yield server
    server.close()
