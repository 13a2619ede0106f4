"""What a run says of downloads: enough to see them go on, not a line for each piece."""

from __future__ import annotations

import logging

import pytest

from kubeinfra.run import controller


def test_a_run_tells_a_line_at_the_beginning_and_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = [100.0]
    monkeypatch.setattr(controller, "monotonic", lambda: clock[0])
    note = controller._Lines()
    with caplog.at_level(logging.INFO, logger="pyinfra"):
        for megabytes in range(25):  # one a second
            note("downloading a", megabytes * 1_000_000, 25_000_000)
            clock[0] += 1
        note("unpacking a", 0, None)
    assert [message.strip() for message in caplog.messages] == [
        "downloading a: 0 of 25 MB (0%)",
        "downloading a: 10 of 25 MB (40%)",
        "downloading a: 20 of 25 MB (80%)",
        "unpacking a",
    ]
