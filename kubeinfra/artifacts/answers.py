"""What a mirror or a proxy answers in place of a file."""

from __future__ import annotations

NO_FILE = "an HTML page, not the file (a login page, an error page or a list?)"


def is_page(beginning: bytes) -> bool:
    """Whether a file that begins so is an HTML page; none of upstream's files, no checksum file and no tar does."""
    start = beginning[:256].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head"))
