"""An HTTP server that answers with whatever bytes a test makes, as fast or slow as it says."""

import threading
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

Answer = Callable[[], Iterable[bytes]]


class _Handler(BaseHTTPRequestHandler):
    server: "_Listener"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer("advertisement", 0)

    def do_POST(self) -> None:
        while size := int(self.rfile.readline(), 16) if self._chunked else 0:
            self.rfile.read(size + 2)
        self.rfile.read(2 if self._chunked else int(self.headers.get("Content-Length") or 0))
        self._answer("result", self.server.raw.bytes_per_s)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    @property
    def _chunked(self) -> bool:
        return self.headers.get("Transfer-Encoding", "") == "chunked"

    def _answer(self, what: str, bytes_per_s: float) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"application/x-git-upload-pack-{what}")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for piece in self.server.raw.answers[self.command]():
                for part in [piece[at : at + 1] for at in range(len(piece))] if bytes_per_s else [piece]:
                    if self.server.raw.stopping.wait(1 / bytes_per_s if bytes_per_s else 0):
                        return
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            return


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    raw: "RawServer"


class RawServer:
    """Answers each method with the pieces that its function yields; with `bytes_per_s` POST byte by byte."""

    def __init__(self, answers: Mapping[str, Answer], *, bytes_per_s: float = 0) -> None:
        self.stopping = threading.Event()
        self.answers = answers
        self.bytes_per_s = bytes_per_s
        self._server = _Listener(("127.0.0.1", 0), _Handler)
        self._server.raw = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """Return the URL of the only repository."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/a.git"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
