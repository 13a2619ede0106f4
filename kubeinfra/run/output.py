"""pyinfra's output turned into ours: its handler for log records, and its callbacks while operations run."""

from __future__ import annotations

import atexit
import logging
import signal
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import NoReturn

import click
import gevent
import pyinfra
import pyinfra_cli
from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.state import BaseStateCallback, StateStage
from pyinfra.context import ctx_host, ctx_state
from rich.table import Table

from kubeinfra.health.questions import Row
from kubeinfra.reports.fold import Told
from kubeinfra.reports.health import print_table, to_stderr
from kubeinfra.run.context import run
from kubeinfra.run.ending import Ending
from kubeinfra.run.inventory import cluster
from kubeinfra.run.journal import Journal, phase_of
from kubeinfra.run.progress import Own, Progress

_PYINFRA = tuple(str(Path(module.__path__[0])) for module in (pyinfra, pyinfra_cli))


def install() -> None:
    """
    Let this run print in proportion to what happens, and keep a record of it. Called by config.py, once a run.

    With -v or --debug all of pyinfra's own lines stay as they are, and `EveryLine` (kubeinfra/run/screen.py) has a line
    for each machine.
    """
    state = ctx_state.get()
    assert state is not None, "pyinfra has made its state before it reads config.py"
    if any(isinstance(handler, _Records) for handler in logger.handlers):
        return
    is_verbose = state.print_noop_info or logger.level <= logging.DEBUG
    theirs = list(logger.handlers)
    screen = None if is_verbose else Screen(state, theirs)
    if screen:
        run().screen = screen
        for handler in theirs:
            logger.removeHandler(handler)
    ending = Ending(state, run())
    logger.addHandler(_Records(state, run().journal, screen, ending))
    atexit.register(ending.show)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """Connections are closed, and the record is kept; pyinfra's own answer to Ctrl-C calls it a success."""
    raise SystemExit(128 + number)


class Screen:
    """
    Little for a run that changes little: the lines of `Progress`, and pyinfra's warnings and errors whole.

    + theirs: pyinfra's handlers, which print those
    """

    def __init__(self, state: State, theirs: Iterable[logging.Handler]) -> None:
        self._state, self._theirs = state, list(theirs)
        self._planned: dict[str, list[Told]] = defaultdict(list)
        self._operation: str | None = None
        self.progress = Progress(_echo, monotonic, self._own)

    def tell(self, one: Told) -> None:
        if self._state.is_executing:
            self.progress.tell(one)
        else:
            self._planned[ctx_host.get().current_op_hash or ""].append(one)

    def tell_wait(self, one: Told) -> None:
        if not self._state.is_executing:
            self.tell(one)

    def waits(self, machine: str, what: str) -> None:
        self.progress.works(machine, f"waits until {what}")

    def health(self, rows: Iterable[Row]) -> None:
        self.progress.flush()
        print_table(rows, every=False)

    def show(self, table: Table) -> None:
        self.progress.flush()
        to_stderr(table)

    def starts(self, operation: str) -> None:
        """All machines come to an operation."""
        self.progress.reset()
        self._operation = _name(self._state, operation)
        if reached := phase_of(self._operation):
            self.progress.phase(reached)

    def show_plan(self) -> None:
        """What operations would do, in the order in which they would run."""
        planned, self._planned = self._planned, defaultdict(list)
        self.progress.plan([(None, planned.pop("", []))])  # told by no operation
        if planned:
            self.progress.plan(_in_order(self._state, planned))

    def pass_on(self, record: logging.LogRecord) -> None:
        """A warning or an error of pyinfra's, whole, after what was told before it and the operation that it is of."""
        self.show_plan()
        self.progress.flush()
        if self._operation and record.levelno >= logging.ERROR:
            _echo(click.style(f"--> {self._operation}", "red"))
            self._operation = None
        for handler in self._theirs:
            handler.handle(record)

    def _own(self) -> Own:
        """What stands in a line that many machines share, in place of what only each of them has."""
        if self._state.current_stage < StateStage.Prepare:
            return {}
        return {
            one.name: {str(one.address): "<address>", one.name: "<name>", one.hostname: "<name>"}
            for one in cluster().machines
        }


class _Records(logging.Handler):
    """pyinfra's log: says in which stage it is, which machines are ready, and what goes wrong."""

    def __init__(self, state: State, journal: Journal, screen: Screen | None, ending: Ending) -> None:
        super().__init__()
        self._state, self._journal, self._screen, self._ending = state, journal, screen, ending
        self._stage, self._is_attached = StateStage.Setup, False

    def emit(self, record: logging.LogRecord) -> None:
        if self._state.initialised and not self._is_attached:
            self._attach()
        if self._state.current_stage != self._stage:
            self._stage = self._state.current_stage
            if self._screen:
                self._enter(self._stage, self._screen)
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            self._journal.errors.append(click.unstyle(text))
        if text == "--> Disconnecting from hosts...":
            self._leave()
        if self._screen:
            self._filter(self._screen, record)

    def _attach(self) -> None:
        """Not before pyinfra says that it connects: it would forget the callbacks."""
        self._is_attached = True
        self._state.add_callback_handler(_Callbacks(self._journal, self._screen))
        if self._screen:
            for host in filter(self._state.is_host_in_limit, self._state.inventory):
                self._screen.progress.works(host.name, "is being connected to")
            gevent.spawn(_tick, self._screen.progress)

    def _enter(self, stage: StateStage, screen: Screen) -> None:
        if stage == StateStage.Prepare:
            screen.progress.reset()
            for host in self._state.active_hosts:
                screen.progress.works(host.name, "is being looked at")
        elif stage == StateStage.Execute:
            screen.show_plan()
            screen.progress.reset()
            screen.progress.begin()

    def _leave(self) -> None:
        if self._screen:
            self._screen.show_plan()
            self._screen.progress.reset()
        if self._journal.is_in_phase:
            last = list(self._journal.worked.values())[-1].operation.partition(" | ")[0]
            is_whole = self._state.current_stage == StateStage.Disconnect
            self._journal.end_phase(last, is_whole)
            if self._screen and is_whole:
                self._screen.progress.phase(last)
        if self._screen:
            self._screen.progress.flush()
        self._ending.reached(sys.exception())

    def _filter(self, screen: Screen, record: logging.LogRecord) -> None:
        """pyinfra's own lines about each host and operation are left out; whatever else is said is not."""
        if record.levelno < logging.WARNING and record.pathname.startswith(_PYINFRA):
            if record.funcName == "_main":  # a heading, such as of its table of changes
                screen.show_plan()
            elif record.funcName == "load_file":  # "Ready: deploy.py"
                screen.progress.is_done(ctx_host.get().name)
        else:
            screen.pass_on(record)


class _Callbacks(BaseStateCallback):
    def __init__(self, journal: Journal, screen: Screen | None) -> None:
        self._journal, self._screen = journal, screen

    def host_connect(self, state: State, host: Host) -> None:  # type: ignore[override]
        if self._screen:
            self._screen.progress.is_done(host.name)

    def operation_start(self, state: State, op_hash: str) -> None:  # type: ignore[override]
        if self._screen:
            self._screen.starts(op_hash)

    def operation_host_start(self, state: State, host: Host, op_hash: str) -> None:  # type: ignore[override]
        if op_hash in state.ops[host]:  # else it has no part in it
            self._journal.begins(op_hash, _name(state, op_hash), host.name)
            if self._screen:
                self._screen.progress.works(host.name, f"is at work: {_name(state, op_hash)}")

    def operation_host_success(self, state: State, host: Host, op_hash: str, retry_count: int = 0) -> None:  # type: ignore[override]
        self._done(op_hash, host)

    def operation_host_error(  # type: ignore[override]
        self, state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        self._done(op_hash, host)

    def operation_end(self, state: State, op_hash: str) -> None:  # type: ignore[override]
        if reached := phase_of(_name(state, op_hash)):
            self._journal.end_phase(reached)

    def _done(self, operation: str, host: Host) -> None:
        self._journal.ends(operation, host.name)
        if self._screen:
            self._screen.progress.is_done(host.name)


def _tick(progress: Progress) -> None:
    while True:
        gevent.sleep(1)
        progress.tick()


def _in_order(state: State, planned: dict[str, list[Told]]) -> Iterator[tuple[str | None, list[Told]]]:
    places = {host.name: place for place, host in enumerate(state.inventory)}
    for operation in state.get_op_order():
        told = sorted(planned.get(operation, []), key=lambda one: places[one.machine])
        yield phase_of(_name(state, operation)), told


def _name(state: State, operation: str) -> str:
    return sorted(state.get_op_meta(operation).names)[0]


def _echo(line: str) -> None:
    click.echo(_styled(line), err=True)


def _styled(line: str) -> str:
    """Colours, which click leaves out if the output is not a terminal."""
    if line.startswith("--- "):
        return click.style(line, fg="blue", bold=True)
    if line.startswith("    [") and ("] restart " in line or "] reload " in line):
        return click.style(line, fg="yellow")
    text = line.lstrip()
    if line.startswith("        ") and text[:1] in "+-":
        return click.style(line, fg="green" if text[0] == "+" else "red")
    return line
