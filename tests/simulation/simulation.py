"""One simulated history: two storms, the calm after each, and the hours in between."""

from collections.abc import Iterable, Mapping

from segue.catalogs import Compiled, compiled
from segue.domain import sweep
from segue.domain.time import HOUR, MINUTE
from tests.simulation.checker import Checker
from tests.simulation.deployment import CORRECT, Deployment, Variant
from tests.simulation.ports import Cloud
from tests.simulation.workload import DESTINATIONS, STORM, Workload
from tests.simulation.world import CALM, STORMY, Violation, World

START = 1_700_000_000_000
SECRET = b"a secret of the simulation"
VISITS = 14
MOST_TICKS = 12

STATUSES = (500, 503, 429, 408, 0, 0, 302, 400)
"""What a destination in a bad mood answers; 0 is nothing at all. The last two are final."""


class Simulation:
    """Everything that goes on under one seed."""

    def __init__(self, seed: int, variant: Variant = CORRECT) -> None:
        self.world = World(seed, START)
        self._cloud = Cloud(self.world)
        self._workload = Workload(self.world, self._cloud, SECRET)
        self._checker = Checker(self.world, self._cloud, self._workload)
        self._cloud.receiver = self._receive
        self._workload.publish_catalogue(1)
        largest = self.world.random.choice((900_000, 900_000, 700))
        self._deployment = Deployment(self.world, self._cloud, variant, largest)
        for destination in DESTINATIONS:
            self._deployment.subscribe("deliver", f"retry-{destination}")

    def run(self) -> "Simulation":
        """Live through all of it. Raises Violation where something is wrong."""
        for version, pause in ((1, HOUR), (2, 5 * HOUR)):
            self._storm(version)
            self._calm()
            self.world.now += self.world.random.randrange(pause)
            self._workload.log_now += self.world.random.randrange(pause)
            self._tick_until_nobody_is_behind()
            self._checker.at_rest(self._catalogue())
        return self

    @property
    def history(self) -> bytes:
        return "\n".join(self.world.history).encode()

    def _storm(self, version: int) -> None:
        self.world.faults = STORMY
        until = self.world.now + STORM
        self._workload.storm(VISITS)
        if version > 1:
            delay = self.world.random.randrange(STORM)
            self.world.offer(lambda: self._workload.publish_catalogue(version), delay=delay)
        while self.world.now < until and self.world.step():
            if self.world.chance(self.world.faults.crashes):
                self._deployment.crash_one()

    def _calm(self) -> None:
        self.world.faults = CALM
        while self.world.step():
            pass

    def _tick_until_nobody_is_behind(self) -> None:
        for _ in range(MOST_TICKS):
            self._workload.tick()
            self._calm()
            stored = self._cloud.get(sweep.PATH)
            known, published = sweep.decode(stored.data) if stored else None, self._catalogue()
            if known and known.done and known.catalog == published.version and published.prepared is None:
                return
            self.world.now += MINUTE
        raise Violation("the catalogue is never in force for everybody")

    def _catalogue(self) -> Compiled:
        assert self._cloud.catalog
        return compiled(self._cloud.catalog)

    def _receive(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """A destination takes what it is sent, but for its moods; in some of them, it does so and says it does not."""
        destination = url.removeprefix("https://").partition(".")[0]
        moody = self.world.chance(self.world.faults.refuses)
        status = self.world.random.choice(STATUSES) if moody else 200
        if status == 200 or (status in (0, 500) and self.world.chance(0.5)):
            self._checker.received(destination, headers["Idempotency-Key"], body)
        self.world.note(f"{destination}: answers {status}")
        return status


def first_violation(variant: Variant, seeds: Iterable[int]) -> tuple[int, Violation] | None:
    """The first of these seeds under which something is wrong, and what."""
    for seed in seeds:
        try:
            Simulation(seed, variant).run()
        except Violation as violation:
            return seed, violation
    return None
