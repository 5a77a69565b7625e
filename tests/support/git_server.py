"""A real git server over HTTP on loopback: `git http-backend`, with faults on demand."""

import base64
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pygit2
import pytest

Content = str | bytes | None
Sign = Callable[[bytes], str]
"""Makes the armoured signature of some bytes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a repository answers instead of git's own answer."""

    status: int = 0
    location: str = ""
    """Where a redirect leads: scheme, host and port."""
    path: str = ""
    """And path; the one that was asked for by default."""
    hang: bool = False
    """Accept the request and say nothing until the server stops."""
    cut_after: int = -1
    """Send this many bytes of a pack, then nothing more."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that arrived."""

    method: str
    path: str
    authorization: str


class Repositories:
    """Bare repositories in a folder, changed without a checkout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._clock = 1_700_000_000

    def path(self, name: str) -> Path:
        """Return the folder of the repository `name`."""
        return self.root / f"{name}.git"

    def open(self, name: str) -> pygit2.Repository:
        """Return the repository `name`, made when there is none; its default branch is `main`."""
        if self.path(name).exists():
            return pygit2.Repository(str(self.path(name)))
        repository = pygit2.init_repository(str(self.path(name)), bare=True, initial_head="main")
        repository.config["uploadpack.allowAnySHA1InWant"] = True
        repository.config["http.receivepack"] = True
        return repository

    def commit(
        self,
        name: str,
        files: Mapping[str, Content],
        *,
        branch: str = "main",
        subject: str = "change",
        amend: bool = False,
        sign: Sign | None = None,
        merge: str = "",
    ) -> str:
        """Write, change or (None) remove files on top of `branch` and return the commit.

        `amend` replaces its tip, `sign` signs it, `merge` is a second parent.
        """
        repository, ref = self.open(name), f"refs/heads/{branch}"
        tip = repository.references.get(ref)
        index = pygit2.Index()
        parents = []
        if tip is not None:
            commit = repository[tip.target]
            index.read_tree(commit.tree)
            parents = list(commit.parent_ids) if amend else [commit.id]
        for path, content in files.items():
            if content is None:
                index.remove(path)
            else:
                data = content.encode() if isinstance(content, str) else content
                index.add(pygit2.IndexEntry(path, repository.create_blob(data), pygit2.enums.FileMode.BLOB))
        parents += [pygit2.Oid(hex=merge)] if merge else []
        self._clock += 1
        author = pygit2.Signature("Ada", "ada@example.org", self._clock, 0)
        text = repository.create_commit_string(author, author, subject, index.write_tree(repository), parents)
        if sign:
            made = repository.create_commit_with_signature(text, sign(text.encode()))
        else:
            made = repository.odb.write(pygit2.enums.ObjectType.COMMIT, text.encode())
        repository.references.create(ref, made, force=True)
        return str(made)

    def point(self, name: str, ref: str, commit: str) -> None:
        """Set a full ref name to a commit, whatever it was: what a forced push does."""
        self.open(name).references.create(ref, commit, force=True)

    def delete(self, name: str, ref: str) -> None:
        """Delete a full ref name."""
        self.open(name).references.delete(ref)

    def tag(self, name: str, tag: str, commit: str, *, annotated: bool = False, sign: Sign | None = None) -> None:
        """Set a tag, whatever it was."""
        repository = self.open(name)
        target = commit
        if annotated:
            author = pygit2.Signature("Ada", "ada@example.org", self._clock, 0)
            text = f"object {commit}\ntype commit\ntag {tag}\ntagger {author.name} <{author.email}> {author.time} +0000\n\n{tag}\n"
            text += sign(text.encode()) if sign else ""
            target = str(repository.odb.write(pygit2.enums.ObjectType.TAG, text.encode()))
        repository.references.create(f"refs/tags/{tag}", target, force=True)

    def remove(self, name: str) -> None:
        """Take the whole repository away."""
        shutil.rmtree(self.path(name))


@dataclass
class GitServer(Repositories):
    """Repositories behind HTTP: `url(name)` is what a source names."""

    root: Path
    faults: dict[str, Fault] = field(default_factory=dict)
    """By the repository's name; an entry that is taken out heals it."""
    passwords: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By the repository's name: who may read it. Absent: everybody."""
    requests: list[Request] = field(default_factory=list)
    sent_bytes: int = 0
    """What git's own answers had, without headers."""

    def __post_init__(self) -> None:
        super().__init__(self.root)
        self.stopping = threading.Event()
        self._server = _Listener(("127.0.0.1", 0), _Handler)
        self._server.git = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port on loopback."""
        return self._server.server_address[1]

    def url(self, name: str) -> str:
        """Return the URL of the repository `name`."""
        return f"http://127.0.0.1:{self.port}/{name}.git"

    def close(self) -> None:
        """Stop answering."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    git: GitServer


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        authorization = self.headers.get("Authorization", "")
        self.server.git.requests.append(Request(self.command, self.path, authorization))
        name = self.path.lstrip("/").partition(".git")[0]
        body = self._body()
        fault = self.server.git.faults.get(name, Fault())
        if fault.hang:
            self.server.git.stopping.wait()
            self.close_connection = True
        elif fault.status:
            self._plain(
                fault.status, {"Location": fault.location + (fault.path or self.path)} if fault.location else {}
            )
        elif not self._may_read(name, authorization):
            self._plain(401, {"WWW-Authenticate": 'Basic realm="git"'})
        else:
            self._git(body, fault)

    def _may_read(self, name: str, authorization: str) -> bool:
        if name not in self.server.git.passwords:
            return True
        wanted = base64.b64encode(":".join(self.server.git.passwords[name]).encode()).decode()
        return authorization == f"Basic {wanted}"

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _plain(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _git(self, body: bytes, fault: Fault) -> None:
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.git.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "tester",
            "REMOTE_ADDR": "127.0.0.1",
        }
        made = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True)
        head, _, content = made.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.server.git.sent_bytes += len(content)
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if 0 <= fault.cut_after < len(content) and self.command == "POST":
            self.wfile.write(content[: fault.cut_after])
            self.wfile.flush()
            self.server.git.stopping.wait()
            self.close_connection = True
        else:
            self.wfile.write(content)


@pytest.fixture
def git_server(tmp_path_factory) -> Iterator[GitServer]:
    """A git server without repositories."""
    server = GitServer(tmp_path_factory.mktemp("git"))
    yield server
    server.close()


@pytest.fixture
def local_git(tmp_path_factory) -> Repositories:
    """Bare repositories on disk, reached by their paths."""
    return Repositories(tmp_path_factory.mktemp("git"))
