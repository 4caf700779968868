"""Every transition reaches every webhook that asked for its segment, and every storage gets the members of its own as
files; a failing destination holds up only itself.

A transition is posted as soon as it is announced. What a destination does not take goes to its own retry topic, one
message a transition, and comes back until it is taken or its attempts are used up; for a while after a failure or a
slow answer, transitions go there unposted. An export goes through the same topic from the beginning, one part of it a
message. What a destination refuses for good, and what is used up, lies in `failed_events`.
"""

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from functions.deliver import webhook
from functions.deliver.audience import Exporter
from functions.deliver.audience import due as due_exports
from segue import failures, telemetry, tracing
from segue.catalogs import Catalogs
from segue.domain import strict
from segue.domain.catalog import Catalog
from segue.domain.errors import NotFound, Rejected, Unavailable
from segue.domain.message import (
    AUDIENCE_DUE,
    AUDIENCES_DUE,
    DELIVERY_DUE,
    MEMBERSHIP_CHANGED,
    AudienceDue,
    AudiencesDue,
    DeliveryDue,
    MembershipChanged,
)
from segue.domain.time import MINUTE, SECOND
from segue.ports import Message, Ports

Due: TypeAlias = DeliveryDue | AudienceDue

KINDS: Mapping[str, type[MembershipChanged | AudiencesDue | Due]] = {
    MEMBERSHIP_CHANGED: MembershipChanged,
    DELIVERY_DUE: DeliveryDue,
    AUDIENCES_DUE: AudiencesDue,
    AUDIENCE_DUE: AudienceDue,
}

TIMEOUT_S = 5.0
SLOW = 2 * SECOND
REST = 10 * SECOND
"""How long transitions go to the retry topic unposted after a failure, or an answer that took longer than `SLOW`."""

ATTEMPTS = 56
FIRST_BACKOFF, LONGEST_BACKOFF = SECOND, 5 * MINUTE
"""The wait doubles from the first to the longest, half of it by chance: all attempts take about three hours."""


class Deliverer:
    """Posts transitions and exports audiences; remembers, for as long as an instance lives, which destinations are at
    rest."""

    def __init__(self, ports: Ports, catalogs: Catalogs, secrets: Mapping[str, str]) -> None:
        self._ports = ports
        self._catalogs = catalogs
        self._secrets = secrets
        self._exporter = Exporter(ports.archive, ports.objects)
        self._resting_until: dict[str, int] = {}

    async def __call__(self, message: Message) -> None:
        """Return once what the message brings is delivered, waits in a retry topic, or is in `failed_events`.

        Raises Unavailable for a delivery whose time has not come, and Invalid for what is no such message.
        """
        match strict.decode_one_of(message.type, message.data, KINDS):
            case MembershipChanged() as changed:
                await self._fan_out((await self._catalogs.at_least(changed.catalog)).catalog, changed)
            case AudiencesDue():
                await self._begin((await self._catalogs.current()).catalog, message.time)
            case DeliveryDue() | AudienceDue() as due:
                self._refuse_early(due)
                await self._deliver((await self._catalogs.current()).catalog, due)

    async def _fan_out(self, catalog: Catalog, changed: MembershipChanged) -> None:
        """Destinations side by side, the transitions of each one after the other."""
        webhooks = [name for name, destination in catalog.destinations.items() if destination.webhook]
        queues = [_deliveries(catalog, destination, changed) for destination in webhooks]
        outcomes = await asyncio.gather(*(self._in_order(catalog, queue) for queue in queues), return_exceptions=True)
        for error in filter(None, outcomes):
            raise error

    async def _begin(self, catalog: Catalog, at: int) -> None:
        """Each export is its destination's own matter from here on."""
        for export in due_exports(catalog, at):
            await self._publish(export)

    async def _in_order(self, catalog: Catalog, queue: Sequence[DeliveryDue]) -> None:
        for delivery in queue:
            if self._resting_until.get(delivery.destination, 0) > self._ports.clock.now():
                await self._postpone(delivery, "the destination is at rest")
            else:
                await self._deliver(catalog, delivery)

    async def _deliver(self, catalog: Catalog, delivery: Due) -> None:
        started = self._ports.clock.now()
        try:
            with tracing.span("delivery", destination=delivery.destination):
                if isinstance(delivery, DeliveryDue):
                    await self._post(catalog, delivery, started)
                else:
                    await self._export(catalog, delivery)
        except Unavailable as error:
            self._rest(delivery.destination)
            await self._postpone(delivery, str(error))
        except Rejected as error:
            await self._give_up(delivery, str(error))
        else:
            if self._ports.clock.now() - started > SLOW:
                self._rest(delivery.destination)

    async def _post(self, catalog: Catalog, delivery: DeliveryDue, now: int) -> None:
        destination = catalog.destinations.get(delivery.destination)
        if destination is None or destination.webhook is None:
            raise NotFound(f"the catalogue has no destination {delivery.destination!r} with a webhook")
        secret = self._secrets.get(destination.webhook.secret)
        if secret is None:
            raise NotFound(f"there is no webhook secret {destination.webhook.secret!r}")
        content = webhook.body(delivery)
        headers = webhook.headers(delivery, content, secret, now)
        webhook.expect_success(await self._ports.http.post(destination.webhook.url, content, headers, TIMEOUT_S))
        telemetry.note("delivery_made", "DEBUG", destination=delivery.destination)

    async def _export(self, catalog: Catalog, export: AudienceDue) -> None:
        further = await self._exporter.step(catalog, export)
        if further:
            await self._publish(further)
        else:
            telemetry.note("audience_exported", destination=export.destination)

    def _rest(self, destination: str) -> None:
        self._resting_until[destination] = self._ports.clock.now() + REST

    def _refuse_early(self, delivery: Due) -> None:
        if delivery.not_before > self._ports.clock.now():
            raise Unavailable(f"not to be delivered before {delivery.not_before}")

    async def _postpone(self, delivery: Due, reason: str) -> None:
        if delivery.attempt + 1 >= ATTEMPTS:
            await self._give_up(delivery, f"{reason}, at the last of {ATTEMPTS} attempts")
            return
        not_before = self._ports.clock.now() + _backoff(delivery)
        again = msgspec.structs.replace(delivery, attempt=delivery.attempt + 1, not_before=not_before)
        await self._publish(again)
        telemetry.note("delivery_postponed", destination=again.destination, attempt=again.attempt, error=reason)

    async def _give_up(self, delivery: Due, reason: str) -> None:
        anew = msgspec.structs.replace(delivery, attempt=0, not_before=0)
        message = self._message(_name(anew), anew)
        await failures.record(self._ports, "deliver", _retry_topic(anew), message, reason)

    async def _publish(self, due: Due) -> None:
        message = self._message(f"{_name(due)}:{due.attempt}", due)
        await self._ports.bus.publish(_retry_topic(due), [message])

    def _message(self, identifier: str, due: Due) -> Message:
        return Message(
            id=identifier,
            type=DELIVERY_DUE if isinstance(due, DeliveryDue) else AUDIENCE_DUE,
            source="//segue/deliver",
            time=self._ports.clock.now(),
            data=msgspec.json.encode(due),
        )


def _deliveries(catalog: Catalog, destination: str, changed: MembershipChanged) -> Sequence[DeliveryDue]:
    wanted = catalog.destinations[destination].segments
    return [
        DeliveryDue(
            destination=destination,
            key=changed.key,
            profile=changed.profile,
            transition=transition,
            attempt=0,
            not_before=0,
        )
        for transition in changed.transitions
        if wanted is None or transition.segment in wanted
    ]


def _name(due: Due) -> str:
    """The same for every attempt at it, and for nothing else."""
    if isinstance(due, DeliveryDue):
        return webhook.idempotency_key(due)
    done = due.progress.parts_done if due.progress else 0
    return f"{due.destination}:{due.segment}:{due.at}:{done}"


def _retry_topic(delivery: Due) -> str:
    return f"retry-{delivery.destination}"


def _backoff(delivery: Due) -> int:
    """Spread by what it is, so that what failed together does not come back together."""
    longest: int = min(FIRST_BACKOFF << delivery.attempt, LONGEST_BACKOFF)
    share = zlib.crc32(f"{_name(delivery)}:{delivery.attempt}".encode()) / 2**32
    return round(longest * (1 + share) / 2)
