"""How a run has ended: its last line, and its record."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import click
from pyinfra.api import State
from pyinfra.api.state import StateStage

from kubeinfra.controller.records import Result
from kubeinfra.errors import KubeinfraError
from kubeinfra.run.context import Run
from kubeinfra.run.controller import controller
from kubeinfra.run.record import keep

ERRORS = 50  # lines of them in a record


class Ending:
    """Told when pyinfra leaves the machines; shown when all has been said."""

    def __init__(self, state: State, this: Run) -> None:
        self._state, self._run = state, this
        self._line = ""

    def reached(self, exception: BaseException | None) -> None:
        """+ exception: what ends pyinfra: SystemExit if it has finished, or was interrupted"""
        if not self._state.is_executing:
            if isinstance(exception, SystemExit) and not self._state.failed_hosts:  # else a message says why it ended
                self._line = f"a plan, nothing was changed: {self._planned()} of {self._machines()} would change"
            return
        result = self._result(exception)
        changed = self._changed()
        restarts = sum(one.verb != "start" for one in self._run.journal.restarts)
        seconds = (datetime.now(UTC) - self._run.journal.began).total_seconds()
        record = self._kept(result, exception) if self._keeps_record() else ""
        self._line = (
            f"{result} in {seconds:.0f} s: {len(changed)} of {self._machines()} changed, "
            f"{restarts} restart{'' if restarts == 1 else 's'}{record}"
        )

    def show(self) -> None:
        if self._line:
            click.echo(self._line, err=True)

    def _keeps_record(self) -> bool:
        """A run that ends before it changes anything leaves no record if the cluster does not exist yet."""
        return self._run.keeps_record and (bool(self._run.journal.changes) or controller().directory.exists())

    def _kept(self, result: Result, exception: BaseException | None) -> str:
        """The record's place, for the last line; the run does not fail if it could not be written."""
        message = (
            "" if result == "succeeded" else "\n".join([*self._run.journal.errors[-ERRORS:], _words(exception)]).strip()
        )
        try:
            return f"; {os.path.relpath(keep(self._state, self._run, result, message))}"
        except KubeinfraError as error:
            return f"; no record of it: {error}"

    def _result(self, exception: BaseException | None) -> Result:
        is_failed = bool(self._state.failed_hosts) or not isinstance(exception, SystemExit)
        if self._state.current_stage == StateStage.Disconnect and not is_failed:
            return "succeeded"
        return "failed" if is_failed else "interrupted"

    def _changed(self) -> set[str]:
        return {
            host.name
            for host, operations in self._state.ops.items()
            for one in operations.values()
            if one.operation_meta.is_complete() and one.operation_meta.did_change()
        }

    def _planned(self) -> int:
        operations = [self._state.ops[host].values() for host in self._state.activated_hosts]
        return sum(any(one.operation_meta._maybe_is_change for one in every) for every in operations)

    def _machines(self) -> str:
        count = len(self._state.activated_hosts)
        return f"{count} machine{'' if count == 1 else 's'}"


def _words(exception: BaseException | None) -> str:
    """The message that the user saw; none if pyinfra ended by an exit."""
    return "" if exception is None or isinstance(exception, SystemExit) else str(exception)
