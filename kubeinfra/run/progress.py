"""What a run prints while it is under way, in proportion to what happens. Knows neither pyinfra nor a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from kubeinfra.reports.fold import Told, folded

HOLD = 3  # seconds that a sentence waits for others like it, from other machines
LONG = 5  # seconds after which it is told what a machine waits for
AGAIN = 15  # seconds after which that is told again
Own = Mapping[str, Mapping[str, str]]


@dataclass
class Progress:
    """
    Lines of a run: what changes, what is waited for, and phases with their seconds.

    + echo: prints one line; + clock: seconds, of which only differences matter
    + own: what only one machine has, as for `folded`
    """

    echo: Callable[[str], None]
    clock: Callable[[], float]
    own: Callable[[], Own]
    _told: list[Told] = field(default_factory=list)
    _oldest: float = 0.0
    _at_work: dict[str, tuple[float, str]] = field(default_factory=dict)
    _silent_until: float = 0.0
    _began: float = field(init=False)
    _phase_began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self._phase_began = self.clock()

    def tell(self, one: Told) -> None:
        """A sentence about a machine; it is printed within HOLD seconds, or before whatever is printed next."""
        if not self._told:
            self._oldest = self.clock()
        self._told.append(one)

    def works(self, machine: str, at: str) -> None:
        """From now on this machine is at work at something, such as "etcd | files" or "until etcd01 is healthy"."""
        self._at_work[machine] = (self.clock(), at)

    def is_done(self, machine: str) -> None:
        self._at_work.pop(machine, None)

    def reset(self) -> None:
        """All machines have done what they were at."""
        self._at_work.clear()
        self._silent_until = 0.0

    def begin(self) -> None:
        """The first phase begins now."""
        self._phase_began = self.clock()

    def phase(self, name: str) -> None:
        """A phase has ended; `name` says what has been reached."""
        self.flush()
        now = self.clock()
        self.echo(f"--- {now - self._began:.1f} s  {name} ({now - self._phase_began:.1f} s)")
        self._phase_began = now

    def flush(self) -> None:
        """Print what was told until now."""
        told, self._told = self._told, []
        for line in folded(told, self.own() if told else {}):
            self.echo(f"    {line}")

    def plan(self, steps: Iterable[tuple[str | None, list[Told]]]) -> None:
        """
        All that a run would tell: the same lines, without times; a phase in which nothing would change has none.

        + steps: in their order: the phase that ends with it (None: an operation), and what it tells
        """
        for ended, told in steps:
            self._told += told
            if ended and self._told:
                self.flush()
                self.echo(f"--- {ended}")
        self.flush()

    def tick(self) -> None:
        """To be called about every second: sentences that were held long enough, and what takes long."""
        now = self.clock()
        if self._told and now - self._oldest >= HOLD:
            self.flush()
        late = {machine: at for machine, (since, at) in self._at_work.items() if now - since >= LONG}
        if late and now >= self._silent_until:
            self.flush()
            longest = max(now - self._at_work[machine][0] for machine in late)
            for line in folded((Told(machine, at) for machine, at in late.items()), self.own()):
                self.echo(f"    {line}: {longest:.0f} s so far")
            self._silent_until = now + AGAIN
