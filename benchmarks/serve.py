"""Measure a server under load: many clients on this machine send photographs, in a second run also damaged ones.

    python benchmarks/serve.py [--clients 64] [--seconds 60] [--broken 0.1] [--workers 1] [PHOTOGRAPH...]

The benchmark starts `deadpan serve` on a free port. For each run it prints the number of answers by status, percentiles
of the answer time, and the server's memory. A client that is refused waits half to all of the time in Retry-After. The
exit code is 1 if a status other than 200 and 429 (422 for a damaged photograph) occurs, or if the peak memory of the
last third of a run is more than a tenth above that of the middle third.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np

PHOTOS = Path(__file__).parent.parent / "examples" / "photos"

SHARES = (50, 90, 95, 99, 100)
"""Percentiles of the answer time."""

GROWN = 1.1
"""Highest ratio of peak memory between the last and the middle third of a run that counts as flat."""


def resident_mb(process: int) -> float:
    """The resident memory of a process and its children in MB (Linux only)."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    own = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return (int(own[1]) / 1024 if own else 0.0) + sum(resident_mb(int(child)) for child in children)


def broken(content: bytes, luck: random.Random) -> bytes:
    """Damage a photograph: truncate it, overwrite its start, or replace it by random bytes."""
    return luck.choice((content[: len(content) // 3], luck.randbytes(64) + content[64:], luck.randbytes(2000)))


class Load:
    """The clients of one run, and the answers that they got."""

    def __init__(self, url: str, contents: list[bytes], share_broken: float, ends: float) -> None:
        self.url, self.contents, self.share_broken, self.ends = url, contents, share_broken, ends
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.milliseconds: list[float] = []

    async def client(self, number: int, http: httpx.AsyncClient) -> None:
        """Send one request after the other until the run ends."""
        luck = random.Random(number)
        while time.monotonic() < self.ends:
            content, is_broken = luck.choice(self.contents), luck.random() < self.share_broken
            files = {"files": ("photograph", broken(content, luck) if is_broken else content)}
            started = time.perf_counter()
            try:
                response = await http.post(f"{self.url}v1/predict", files=files)
            except httpx.HTTPError as error:
                self.answers[type(error).__name__] += 1
                self.wrong.append(repr(error))
                continue
            self.answers[f"{response.status_code}{' broken' if is_broken else ''}"] += 1
            if response.status_code == 429:
                await asyncio.sleep(float(response.headers["Retry-After"]) * luck.uniform(0.5, 1))
            elif response.status_code == (422 if is_broken else 200):
                self.milliseconds.append(1000 * (time.perf_counter() - started))
            else:
                self.wrong.append(f"{response.status_code} {response.text[:200]}")

    async def run(self, clients: int) -> None:
        """Run all clients at the same time, each with its own connection."""
        limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
        async with httpx.AsyncClient(limits=limits, timeout=60) as http:
            await asyncio.gather(*(self.client(number, http) for number in range(clients)))


def measure(url: str, process: int, contents: list[bytes], options: argparse.Namespace, share: float) -> dict[str, Any]:
    """Make one run and return its figures."""
    memory: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            memory.append(resident_mb(process))

    watching = threading.Thread(target=watch)
    watching.start()
    load = Load(url, contents, share, time.monotonic() + options.seconds)
    started = time.monotonic()
    asyncio.run(load.run(options.clients))
    taken = time.monotonic() - started
    over.set()
    watching.join()
    last = memory[len(memory) // 3 :]
    took = np.percentile(load.milliseconds, SHARES) if load.milliseconds else np.full(len(SHARES), np.nan)
    return {
        "clients": options.clients,
        "seconds": round(taken, 1),
        "share_broken": share,
        "answers": dict(sorted(load.answers.items())),
        "answered_per_second": round(len(load.milliseconds) / taken, 1),
        "milliseconds": {f"p{name}": round(float(value)) for name, value in zip(SHARES, took, strict=True)},
        "memory_mb": {"after_a_third": round(last[0]), "most": round(max(memory)), "end": round(memory[-1])},
        "memory_flat": max(last[len(last) // 2 :]) <= GROWN * max(last[: len(last) // 2]),
        "errors": load.wrong[:5],
    }


def main() -> None:
    """Start the server, make two runs, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", nargs="*", type=Path)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--broken", type=float, default=0.1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    photographs = options.photographs or sorted([*PHOTOS.glob("*.jpg"), *PHOTOS.glob("*.png")])
    contents = [path.read_bytes() for path in photographs]
    command = [sys.executable, "-m", "deadpan", "serve", "--port", "0", "--model", options.model]
    with subprocess.Popen([*command, "--workers", str(options.workers)], stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        found = re.search(r"http://\S+", server.stderr.readline())
        assert found, "the server did not start"
        said: list[str] = []
        reading = threading.Thread(target=lambda: said.extend(server.stderr or ()))
        reading.start()
        httpx.Client(transport=httpx.HTTPTransport(retries=10)).get(f"{found[0]}healthz", timeout=60)
        runs = [measure(found[0], server.pid, contents, options, share) for share in (0.0, options.broken)]
        server.terminate()
        code = server.wait(60)
        reading.join()
    print(json.dumps({"model": options.model, "workers": options.workers, "runs": runs, "log": said[:20]}, indent=1))
    if code or said or any(run["errors"] or not run["memory_flat"] for run in runs):
        sys.exit(1)


if __name__ == "__main__":
    main()
