"""A model hub on the loopback: its file interface over real HTTP, in good order or failing in some way."""

from __future__ import annotations

import hashlib
import http.server
import threading
import time
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SLOW_S = 5.0
FAILURES = ("down", "401", "404", "500", "half", "altered")
"""What a hub can do instead of answering: `mode` takes these, `slow` and `up`."""


class Hub:
    """Serves files as the hub does: HEAD and GET of REPOSITORY/resolve/main/FILE, large files by redirection.

    Attributes:
        repositories: files by repository and name.
        mode: how it answers.
        seen: every request, in order.
    """

    def __init__(self, repositories: dict[str, dict[str, bytes]]):
        self.repositories, self.mode, self.seen = repositories, "up", []
        self._server, self._port = None, 0

    def __enter__(self) -> Hub:
        self._listen()
        return self

    def __exit__(self, *exception) -> None:
        self._close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def turn(self, mode: str) -> None:
        """Changes how it answers; `down` closes its port."""
        self.mode = mode
        self.seen.clear()
        if mode == "down":
            self._close()
        elif self._server is None:
            self._listen()

    def _listen(self) -> None:
        hub = self

        class Handler(_Handler):
            owner = hub

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Handler(http.server.BaseHTTPRequestHandler):
    owner: Hub

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def _answer(self):
        self.owner.seen.append(f"{self.command} {self.path}")
        mode = self.owner.mode
        if mode == "slow":
            time.sleep(SLOW_S)
        if mode.isdigit():
            return self._send(int(mode), b"no")
        if self.path.startswith("/large/"):
            return self._send_large(self.path.removeprefix("/large/"), mode)
        repository, _, name = self.path.strip("/").partition("/resolve/main/")
        files = self.owner.repositories.get(repository)
        if files is None:
            return self._send(401, b"", X_Error_Code="RepoNotFound")
        if name not in files:
            return self._send(404, b"", X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
        digest = hashlib.sha256(files[name]).hexdigest()
        self._send(
            302, b"", Location=f"{self.owner.endpoint}/large/{digest}", X_Repo_Commit=COMMIT,
            X_Linked_Etag=f'"{digest}"', X_Linked_Size=str(len(files[name])), ETag='"etag"',
        )  # fmt: skip

    def _send_large(self, digest: str, mode: str):
        files = [data for named in self.owner.repositories.values() for data in named.values()]
        data = next(data for data in files if hashlib.sha256(data).hexdigest() == digest)
        if mode == "altered":
            data = data[:-1] + bytes([data[-1] ^ 1])
        self._send(200, data, cut=len(data) // 2 if mode == "half" else None, ETag='"of another host"')

    def _send(self, status: int, body: bytes, *, cut: int | None = None, **headers: str):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:cut])

    def log_message(self, *arguments):
        pass


def main() -> None:
    """Loads or exports encoders as it is told, JSON line by JSON line: what came of it, as JSON lines."""
    import contextlib
    import io
    import json
    import sys

    from huggingface_hub import hf_hub_download
    from safetensors.torch import save_file

    from encoder import EncoderConfig
    from encoder.sources import find_sources
    from encoder.weights import load_encoder
    from export.__main__ import main as export

    for line in sys.stdin:
        told, began = json.loads(line), time.monotonic()
        try:
            if "hub_download" in told:
                answer = {"path": hf_hub_download(told["hub_download"], "model.safetensors")}
            elif "export" in told:
                with contextlib.redirect_stderr(io.StringIO()) as said:
                    answer = {"code": export(told["export"]), "error": said.getvalue()}
            else:
                config = EncoderConfig.from_dict(told["config"])
                sources = find_sources(config, published=told["published"])
                answer = {
                    "digests": sources.digests(),
                    "notes": sources.notes,
                    "found_s": time.monotonic() - began,
                }
                if told["load"]:
                    encoder, weights = load_encoder(config, sources)
                    answer |= {"weights": weights.to_dict(), "lines": weights.lines}
                if told.get("save"):
                    save_file(
                        {k: v.contiguous() for k, v in encoder.state_dict().items()}, Path(told["save"])
                    )
        except ValueError as error:
            answer = {"error": str(error), "found_s": time.monotonic() - began}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
