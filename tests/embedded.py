"""Everything that functions ask of the outside, on an embedded platform of the test's own."""

from segue.adapters.embedded.platform import EmbeddedPlatform
from segue.adapters.web import WebHttp, WebObjects
from segue.ports import Clock, Ports


def ports_of(opened: EmbeddedPlatform, clock: Clock) -> Ports:
    """The platform's own ports, with real HTTP and no credentials of buckets."""
    return Ports(
        store=opened.store,
        bus=opened.bus,
        archive=opened.archive,
        catalog=opened.catalog,
        http=WebHttp(),
        objects=WebObjects({}),
        clock=clock,
    )
