"""How long a service is away while something breaks: many requests a second, and the longest gap between answers."""

from __future__ import annotations

import json
import random
import ssl
import tempfile
import threading
import time
import urllib.error
import urllib.request
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType

import yaml
from laboratory import Lab

PACE = 0.1  # on average: two clients in step would each meet a server of its own, as nginx takes them in turn
LATE = 0.5
# Seconds; as the most impatient client of a cluster: a leader's time-out is half of its renew deadline, 10 s.
PATIENCE = 5


class Requests:
    """
    Asks ten times a second in a thread of its own, each time over a new connection; a context manager.

    + ask: one request that raises when it fails
    """

    def __init__(self, ask: Callable[[], object]) -> None:
        self.ask = ask
        self.answers: list[float] = []
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Requests:
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._ticker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end.set()
        self._ticker.join()
        for thread in self._threads:
            thread.join()

    def _tick(self) -> None:
        while not self._end.wait(random.uniform(0.5, 1.5) * PACE):
            # A request that hangs must not hold back the next one: each has its own thread.
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            thread = threading.Thread(target=self._once, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _once(self) -> None:
        try:
            self.ask()
        except OSError:
            return
        self.answers.append(time.monotonic())

    def longest_gap(self, since: float) -> float:
        """Seconds: the longest time without an answer from `since` (time.monotonic()) until now."""
        times = sorted([since, *(answer for answer in self.answers if answer > since), time.monotonic()])
        return max(later - earlier for earlier, later in pairwise(times))


@dataclass(frozen=True)
class Request:
    """When it began and ended (time.monotonic()), and what came in place of an answer; "" for an answer."""

    began: float
    ended: float
    failure: str

    @property
    def is_late(self) -> bool:
        return not self.failure and self.ended - self.began > LATE

    def meets(self, other: Request) -> bool:
        return self.began < other.ended and other.began < self.ended


class InTurn:
    """
    One client that asks one request after the other, each over a new connection; a context manager. It sees what many
    clients at once hide: that every other request fails.

    + ask: one request that raises when it fails
    + direct: the same of each server, past what is in front of them. An answer that is late counts as missed, unless
      the answer of a server itself was as late meanwhile: then this machine is busy. Without, late answers do not count
    """

    def __init__(self, ask: Callable[[], object], direct: Iterable[Callable[[], object]] = ()) -> None:
        self.ask = ask
        self.requests: list[Request] = []
        self.direct = [InTurn(one) for one in direct]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> InTurn:
        for server in self.direct:
            server.__enter__()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()
        for server in self.direct:
            server.__exit__(kind, error, _)

    def _go_on(self) -> None:
        while not self._end.wait(PACE):
            began, failure = time.monotonic(), ""
            try:
                self.ask()
            except urllib.error.HTTPError as error:
                failure = str(error.code)
            except OSError as error:  # refused, reset, or nothing within the time
                failure = type(getattr(error, "reason", error)).__name__
            self.requests.append(Request(began, time.monotonic(), failure))

    @property
    def answered(self) -> int:
        return sum(not one.failure for one in self.requests)

    @property
    def missed(self) -> list[Request]:
        """Those that failed, and with `direct` those whose answer was late while every server's own was not."""
        busy = [one for server in self.direct for one in server.requests if one.is_late]
        counts = bool(self.direct)
        return [
            one
            for one in self.requests
            if one.failure or (counts and one.is_late and not any(one.meets(other) for other in busy))
        ]

    def seconds(self) -> float:
        """From the beginning of the first missed request to the end of the last; 0 without any."""
        missed = self.missed
        return missed[-1].ended - missed[0].began if missed else 0.0

    def said(self) -> str:
        """Such as "11 of 191 requests failed (5 500, 6 late), the slowest answer took 0.71 s"."""
        missed = self.missed
        kinds = Counter(one.failure or "late" for one in missed)
        every = ", ".join(f"{count} {what}" for what, count in sorted(kinds.items()))
        slowest = max((one.ended - one.began for one in self.requests if not one.failure), default=0.0)
        return (
            f"{len(missed)} of {len(self.requests)} requests failed ({every or 'none'}), "
            f"the slowest answer took {slowest:.2f} s"
        )


def https(url: str) -> Callable[[], object]:
    """A GET over a new connection; whose certificate it is does not matter here."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    def ask() -> bytes:
        with urllib.request.urlopen(url, timeout=PATIENCE, context=context) as answer:
            return bytes(answer.read())

    return ask


class Writes:
    """
    Makes ConfigMaps one after the other, and remembers those that the server has acknowledged; a context manager.

    + cluster: whose administrator writes; + url: of the API; + namespace: in which
    """

    def __init__(self, cluster: Lab, url: str, namespace: str) -> None:
        self.url = f"{url}/api/v1/namespaces/{namespace}/configmaps"
        self.acknowledged: list[str] = []
        self._context = administrator(cluster)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Writes:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._end.wait(random.uniform(0.5, 1.5) * PACE):
            name = f"at-{time.time_ns()}"
            body = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}).encode()
            request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=2, context=self._context) as answer:
                    answer.read()
            except OSError:
                continue
            self.acknowledged.append(name)


def administrator(cluster: Lab) -> ssl.SSLContext:
    """A client with the administrator's certificate, which checks the server's."""
    document = yaml.safe_load((cluster.state / "admin.kubeconfig").read_text())
    user = document["users"][0]["user"]
    ca = b64decode(document["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=ca)
    show(context, b64decode(user["client-certificate-data"]) + b64decode(user["client-key-data"]))
    return context


def show(context: ssl.SSLContext, certificate_and_key: bytes) -> None:
    """Let it show this certificate to the other side; PEM."""
    with tempfile.NamedTemporaryFile() as pem:  # 0600 from birth; gone when it is read
        pem.write(certificate_and_key)
        pem.flush()
        context.load_cert_chain(pem.name)
