"""The functions, deployed: instances that crash, and subscriptions that deliver at least once and in any order."""

import msgspec

from functions.deliver.deliver import Deliverer
from functions.evaluate.evaluate import Evaluator
from functions.privacy.privacy import Eraser
from functions.tick.tick import Ticker
from functions.update.update import Updater
from segue import failures
from segue.catalogs import Catalogs
from segue.domain.errors import Rejected, Unavailable
from segue.domain.message import ERASURES, EVENTS, MEMBERSHIPS, SWEEPS, TICKS
from segue.entrypoint import Handler
from segue.ports import Message, Ports
from tests.simulation.ports import Cloud
from tests.simulation.world import Instance, Violation, World

SECRETS = {"hook": "a secret that signs"}

LARGEST_SKEW = 120_000
"""How wrong an instance's clock may be, in ms."""


class Variant(msgspec.Struct, frozen=True):
    """The use cases to run: the real ones, or some with a bug planted."""

    name: str = "correct"
    evaluator: type[Evaluator] = Evaluator
    updater: type[Updater] = Updater
    deliverer: type[Deliverer] = Deliverer
    ticker: type[Ticker] = Ticker
    eraser: type[Eraser] = Eraser


CORRECT = Variant()

TOPICS = {"evaluate": EVENTS, "update": MEMBERSHIPS, "deliver": MEMBERSHIPS, "tick": TICKS, "privacy": ERASURES}
INSTANCES = {"evaluate": 2, "update": 2, "deliver": 2, "tick": 1, "privacy": 1}


class Running:
    """An instance at work, and the messages it has not acknowledged."""

    def __init__(self, instance: Instance, ports: Ports, handler: Handler) -> None:
        self.instance = instance
        self.ports = ports
        self.handler = handler
        self.unacknowledged: dict[int, Message] = {}


class Deployment:
    """All instances of all functions, in one cloud."""

    def __init__(self, world: World, cloud: Cloud, variant: Variant, largest_document: int) -> None:
        self._world = world
        self._cloud = cloud
        self._variant = variant
        self._largest_document = largest_document
        self._started = 0
        self._deliveries = 0
        self._running = {name: [self._launch(name) for _ in range(count)] for name, count in INSTANCES.items()}
        for function, topic in TOPICS.items():
            self.subscribe(function, topic)
        self.subscribe("evaluate", SWEEPS)

    def subscribe(self, function: str, topic: str) -> None:
        self._cloud.subscribers.setdefault(topic, []).append(lambda message: self._offer(function, message))

    def crash_one(self) -> None:
        """An instance dies and another takes its place; what it had not acknowledged comes back."""
        function, index = self._world.random.choice(
            [(function, index) for function, running in self._running.items() for index in range(len(running))]
        )
        dead = self._running[function][index]
        dead.instance.alive = False
        self._world.note(f"{dead.instance.name}: crashes")
        self._running[function][index] = self._launch(function)
        for message in dead.unacknowledged.values():
            self._offer(function, message, back_off=True)

    def _launch(self, function: str) -> Running:
        self._started += 1
        skew = self._world.random.randint(-LARGEST_SKEW, LARGEST_SKEW)
        instance = Instance(f"{function}-{self._started}", skew)
        ports = self._cloud.ports(instance)
        return Running(instance, ports, self._handler(function, ports))

    def _handler(self, function: str, ports: Ports) -> Handler:
        catalogs = Catalogs(ports.catalog, ports.clock)
        match function:
            case "evaluate":
                return self._variant.evaluator(ports, catalogs, self._largest_document)
            case "update":
                return self._variant.updater(ports)
            case "deliver":
                return self._variant.deliverer(ports, catalogs, SECRETS)
            case "privacy":
                return self._variant.eraser(ports)
            case _:
                return self._variant.ticker(ports, catalogs)

    def _offer(self, function: str, message: Message, *, back_off: bool = False) -> None:
        delay = self._world.random.randint(1_000, 10_000) if back_off else 0
        self._world.offer(lambda: self._deliver(function, message), delay=delay)
        if self._world.chance(self._world.faults.duplicates):
            self._world.offer(lambda: self._deliver(function, message), delay=delay)

    def _deliver(self, function: str, message: Message) -> None:
        running = self._world.random.choice(self._running[function])
        self._deliveries += 1
        number = self._deliveries
        running.unacknowledged[number] = message
        self._world.note(f"{running.instance.name}: receives {message.type} {message.id}")

        def done(error: BaseException | None) -> None:
            running.unacknowledged.pop(number)
            if error is None:
                self._world.note(f"{running.instance.name}: acknowledges {message.id}")
            elif isinstance(error, Unavailable):
                self._world.note(f"{running.instance.name}: refuses {message.id}: {error}")
                self._offer(function, message, back_off=True)
            else:
                raise Violation(f"{function} raised {error!r}") from error

        self._world.start(self._acknowledged(function, running, message), done)

    async def _acknowledged(self, function: str, running: Running, message: Message) -> None:
        """As the entry point has it: what can never succeed is recorded."""
        try:
            await running.handler(message)
        except Rejected as error:
            await failures.record(running.ports, function, TOPICS[function], message, str(error))
