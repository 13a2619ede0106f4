"""
Everything of pyinfra and of paramiko that is replaced while a run goes on, a module for each: look here first after an
update of one of them.

+ connections: how long an ssh connection waits; + login_shell: what a login shell reads, and what it prints before
+ lookups: what pyinfra looks up again and again, looked up once

What a run prints is not replaced but handed in: `kubeinfra/run/output.py`.
"""

from __future__ import annotations

from kubeinfra.run.replaced import connections, login_shell, lookups


def install() -> None:
    """Called by config.py, which pyinfra reads before it connects, and more than once."""
    connections.install()
    lookups.install()
    login_shell.install()
