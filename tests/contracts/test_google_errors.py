"""What Google says of an error is for operators: callers hear what was being done, and the kind of error."""

import click
import pytest
from click.testing import CliRunner
from google.api_core.exceptions import DeadlineExceeded, InvalidArgument, ServiceUnavailable

from emulator.command import Root
from segue.adapters.google.connection import meaning
from segue.domain.errors import Rejected, SegueError, Unavailable

INNER = "failed to connect to all addresses; last error: ipv4:10.0.0.7:443"


@pytest.mark.parametrize(
    ("error", "found"),
    [(ServiceUnavailable, Unavailable), (DeadlineExceeded, Unavailable), (InvalidArgument, Rejected)],
)
def test_googles_own_words_are_a_note(error: type[Exception], found: type[SegueError]) -> None:
    with pytest.raises(found) as raised, meaning("reading from states"):
        raise error(INNER)
    assert str(raised.value) == f"reading from states: {error.__name__}"
    assert [INNER in note for note in raised.value.__notes__] == [True]


def test_a_command_shows_them() -> None:
    @click.command()
    def status() -> None:
        try:
            with meaning("reading from catalog"):
                raise ServiceUnavailable(INNER)  # type: ignore[no-untyped-call]
        except Unavailable as error:
            raise Unavailable(f"project shop-1: {error}") from error

    class Commands(Root):
        def get_command(self, _context: click.Context, _name: str) -> click.Command:
            return status

    done = CliRunner().invoke(Commands(), ["status"])
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "Error: project shop-1: reading from catalog: ServiceUnavailable",
        f"503 {INNER}",
    ]
