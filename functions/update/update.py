"""A profile's public document is its newest membership snapshot, in whatever order the snapshots arrive."""

from segue import retries, telemetry
from segue.domain import document, strict
from segue.domain.message import MEMBERSHIP_CHANGED, MembershipChanged
from segue.ports import ABSENT, Message, Ports, Write

KINDS = {MEMBERSHIP_CHANGED: MembershipChanged}


class Updater:
    """Writes each snapshot that is newer than what the public document holds, and does nothing else."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def __call__(self, message: Message) -> None:
        """Return once the public document is at least as new as the message's snapshot."""
        changed = strict.decode_one_of(message.type, message.data, KINDS)
        await retries.on_conflict(self._ports.clock, message.id, lambda: self._write_if_newer(changed))

    async def _write_if_newer(self, changed: MembershipChanged) -> None:
        path = document.profile_path(changed.key)
        stored = await self._ports.store.get(path)
        if stored and document.decode_profile(stored.data).seq >= changed.seq:
            telemetry.note("snapshot_outdated", "DEBUG", key=changed.key)
            return
        data = document.encode(document.public(changed))
        await self._ports.store.commit([Write(path=path, data=data, expects=stored.version if stored else ABSENT)])
