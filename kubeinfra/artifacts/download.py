"""Downloads over HTTP(S); proxies come from the environment (https_proxy, no_proxy)."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from kubeinfra.artifacts.answers import NO_FILE, is_page
from kubeinfra.atomic import whole_file

TIMEOUT = 20.0
"""Seconds for connecting, and for each wait for more bytes."""

CHUNK = 1 << 20

Progress = Callable[[str, int, int | None], None]
"""Called again and again with what is being done, bytes so far, and bytes in all (None if not known)."""


def progress_line(what: str, done: int, total: int | None) -> str:
    """Progress as shown to the user: "downloading <url>: 45 of 301 MB (15%)"."""
    return f"{what}: {done / 1e6:.0f} of {total / 1e6:.0f} MB ({done / total:.0%})" if total else what


class Unavailable(Exception):
    """Why a place does not have a file; the next place may have it."""


def download(url: str, path: Path, digest: str, progress: Progress) -> None:
    """Put what `url` serves at `path`, whole and with this digest; Unavailable with the reason otherwise."""
    algorithm = digest.partition(":")[0]
    hasher = hashlib.new(algorithm)
    with whole_file(path) as file:
        for chunk in _pieces(url, progress):
            hasher.update(chunk)
            file.write(chunk)
        if (found := f"{algorithm}:{hasher.hexdigest()}") != digest:
            raise Unavailable(f"{url} served {found}")


def read_text(url: str) -> str:
    """A small text file; Unavailable with the reason otherwise."""
    return b"".join(_pieces(url, lambda *_: None)).decode(errors="replace")


def reachable(url: str, timeout: float) -> bool:
    """Whether the server says that it has this file (HEAD); any trouble within `timeout` seconds is a no."""
    try:
        with _open(Request(url, method="HEAD"), timeout):
            return True
    except Unavailable:
        return False


def _pieces(url: str, progress: Progress) -> Iterator[bytes]:
    done = 0
    with _open(Request(url), TIMEOUT) as response:
        length = response.headers.get("Content-Length")
        total = int(length) if length else None
        while chunk := response.read(CHUNK):
            if not done and is_page(chunk):
                raise Unavailable(f"{url} served {NO_FILE}")
            done += len(chunk)
            progress(f"downloading {url}", done, total)
            yield chunk
    # http.client takes a connection that ends early for the end of the file.
    if total is not None and done != total:
        raise Unavailable(f"{url}: ended after {done} of {total} bytes")


@contextmanager
def _open(request: Request, timeout: float) -> Iterator[Any]:
    try:
        with urlopen(request, timeout=timeout) as response:
            yield response
    except (OSError, HTTPException) as error:
        raise Unavailable(f"{request.full_url}: {_cause(error, timeout)}") from error


def _cause(error: Exception, timeout: float) -> str:
    if isinstance(error, HTTPError):
        return f"{error.code} {error.reason}"
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__
