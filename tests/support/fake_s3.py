"""A small S3 server that reads the folders in a directory as buckets: enough for listing and reading objects."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root: Path

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        path = self.root / bucket / key
        if not key and (self.root / bucket).is_dir():
            self._send(200, self._listing(bucket, query) if "list-type" in query else b"", "application/xml")
        elif not path.is_file() or key.endswith("/"):
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")
        else:
            self._send_file(path.read_bytes())

    def _send_file(self, content: bytes) -> None:
        wanted = self.headers.get("Range")
        if wanted is None:
            self._send(200, content, "application/octet-stream")
            return
        start, _, end = wanted.removeprefix("bytes=").partition("-")
        last = min(int(end), len(content) - 1) if end else len(content) - 1
        extra = {"Content-Range": f"bytes {start}-{last}/{len(content)}"}
        self._send(206, content[int(start) : last + 1], "application/octet-stream", extra)

    def _listing(self, bucket: str, query: dict[str, str]) -> bytes:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        folder = self.root / bucket
        prefixes: dict[str, None] = {}
        keys = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        contents, count = "", 0
        for key in keys:
            rest = key.removeprefix(prefix)
            if not key.startswith(prefix):
                continue
            if delimiter and delimiter in rest:
                prefixes[prefix + rest.partition(delimiter)[0] + delimiter] = None
                continue
            size = (folder / key).stat().st_size
            count += 1
            contents += f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size>"
            contents += "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        common = "".join(f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in prefixes)
        start = '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        facts = f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><IsTruncated>false</IsTruncated>"
        facts += f"<KeyCount>{count + len(prefixes)}</KeyCount>"
        return f"{start}{facts}{contents}{common}</ListBucketResult>".encode()

    def _send(self, code: int, content: bytes, kind: str, extra: dict[str, str] | None = None) -> None:
        self.send_response(code)
        headers = {"Content-Type": kind, "Content-Length": str(len(content)), "ETag": '"1"', **(extra or {})}
        headers["Last-Modified"] = "Thu, 01 Jan 2026 00:00:00 GMT"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *values: object) -> None:
        """Print nothing."""


@contextmanager
def fake_s3(root: Path) -> Iterator[dict[str, str]]:
    """Serve the folders in `root` as buckets; yields the environment variables with which pyarrow finds them."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"root": root}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield {**ENVIRONMENT, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
