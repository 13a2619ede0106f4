"""
Between ssh and the commands stands the login shell of the user who connects: bash with a greeting in its ~/.bashrc,
csh, fish. Here each command gets a form that all of them read alike, and the answer loses what they print before it.

pyinfra's own sends each command as it is, and takes all that comes back for its answer.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from gzip import compress
from shlex import quote
from shutil import copyfileobj
from typing import IO, Any

from paramiko import SSHClient as ParamikoClient
from paramiko.sftp import SFTPError
from pyinfra.api.util import get_file_io
from pyinfra.connectors import util
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.sshuserclient import SSHClient

BEGIN = "kubeinfra: here the answer begins"
_WORD = 1000  # characters; BSD's csh takes no longer words
_LONG = 60_000  # bytes; Linux takes 131072 of one argument, as which sshd passes the whole line
# pyinfra's program that gives sudo the password; sudo cannot run it where no program may run, as in many a /tmp.
ASKPASS = r"""
for directory in "${{TMPDIR:-{0}}}" {0} "$HOME" /var/tmp "/run/user/$(id -u)" /dev/shm; do
    program=$(mktemp "$directory/pyinfra-sudo-askpass-XXXXXXXXXXXX" 2>/dev/null) || continue
    cat >"$program" <<'END'
#!/bin/sh
printf '%s\n' "${1}"
END
    chmod 755 "$program"
    if "$program" >/dev/null 2>&1; then echo "$program"; exit 0; fi
    rm -f "$program"
done
echo "sudo has to run a program that tells it the password, and no program runs in {0} or in your home (noexec?);" \
    "name a directory where one does as _temp_dir in group_data/all.py" >&2
exit 1
"""


def install() -> None:
    """Let pyinfra's ssh connections do so."""
    SSHClient.exec_command = _exec_command  # type: ignore[assignment,method-assign]
    if SSHConnector._put_file is not _put_file:  # config.py is read more than once
        SSHConnector._put_file = _put_file  # type: ignore[method-assign]
        SSHConnector._get_file = _get_file  # type: ignore[assignment,method-assign]
    util.ASKPASS_COMMAND = ASKPASS


def for_any_shell(command: str) -> str:
    """
    A command for sh -> one line that every login shell passes on to sh unchanged: no backslash, which fish reads
    otherwise, and no line break and no "!", which csh does. It prints BEGIN first.

    Programs speak English: sudo, in whose words pyinfra sees that it wants a password, and as sudo keeps LC_ALL
    (sudoers(5), env_check) the command itself.
    """
    data, decode = command.encode(errors="surrogateescape"), "base64 -d"
    if len(data) > _LONG:
        data, decode = compress(data, mtime=0), f"{decode} | gzip -dc"
    text = b64encode(data).decode()
    words = (text[start : start + _WORD] for start in range(0, len(text), _WORD))
    sound = '[ -n "$command" ] || { echo "base64 or gzip is missing" >&2; exit 127; }'
    decoded = f'echo "{BEGIN}"; command=$(printf %s "$@" | {decode}); {sound}; set --; eval "$command"'
    return f"exec env LC_ALL=C sh -c '{decoded}' sh {' '.join(words)}"


def answer(lines: Iterable[str]) -> Iterator[str]:
    """What a command printed: the lines after BEGIN. If that never came, all lines, which may say why."""
    before = []
    every = iter(lines)
    for line in every:
        if line.rstrip("\r\n").endswith(BEGIN):  # a greeting may have no line break at its end
            yield from every
            return
        before.append(line)
    yield from before


class _Answer:
    """A channel's output, as far as pyinfra uses it."""

    def __init__(self, output: Any) -> None:
        self._output, self.channel = output, output.channel

    def __iter__(self) -> Iterator[str]:
        return answer(self._output)


def _exec_command(self: SSHClient, command: str, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
    stdin, stdout, stderr = ParamikoClient.exec_command(self, for_any_shell(command), *args, **kwargs)
    return stdin, _Answer(stdout), stderr


_by_sftp: Any = SSHConnector._put_file
_from_sftp: Any = SSHConnector._get_file


def _put_file(self: SSHConnector, source: str | IO[Any], target: str) -> None:
    """A greeting breaks SFTP, whose server is started by the login shell too: then by `cat`."""
    try:
        _by_sftp(self, source, target)
    except SFTPError:
        assert self.client is not None
        with get_file_io(source) as file:
            stdin, stdout, stderr = self.client.exec_command(f"cat >{quote(target)}")
            copyfileobj(file, stdin, 1 << 16)
            stdin.close()
            stdin.channel.shutdown_write()
            if stdout.channel.recv_exit_status():
                raise OSError(f"{target}: {''.join(stderr).strip()}") from None


def _get_file(self: SSHConnector, source: str, target: str | IO[Any]) -> None:
    try:
        _from_sftp(self, source, target)
    except SFTPError:
        assert self.client is not None
        _, stdout, stderr = ParamikoClient.exec_command(self.client, for_any_shell(f"cat {quote(source)}"))
        with get_file_io(target, "wb") as file:
            while (line := stdout.readline()) and not line.rstrip("\r\n").endswith(BEGIN):
                pass  # what the shell prints before
            copyfileobj(stdout, file, 1 << 16)
        if stdout.channel.recv_exit_status():
            raise OSError(f"{source}: {''.join(stderr).strip()}") from None
