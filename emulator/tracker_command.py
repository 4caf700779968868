"""`segue tracker`: what a page needs to carry segue.js."""

import click

from emulator.client import DEMO_WRITE_KEY
from functions.ingest.tracker import scripts

QUEUE = (
    '<script>(s=>{for(let m of"track page identify group consent reset".split(" "))s[m]=(...a)=>{s.push([m,...a])};'
    "s.decide=(...a)=>new Promise(r=>setTimeout(r,2e3,{},s.push([r,...a])))})(segue=[])</script>"
)
"""Takes what a page says before the tracker is there; the tracker then replays it. What is asked is answered after two
seconds with nothing, should it never come."""


@click.group()
def tracker() -> None:
    """The script that tells Segue what visitors do on a page."""


@tracker.command()
@click.option("--key", default=DEMO_WRITE_KEY, show_default=True, help="The write key of a source.")
@click.option("--host", default="http://127.0.0.1:8080", show_default=True, help="Where Segue answers.")
@click.option("--pinned", is_flag=True, help="This version alone, held to its content; renew it after a deployment.")
def snippet(key: str, host: str, pinned: bool) -> None:
    """Print what to put into a page's head."""
    click.echo(loader(key, host, pinned))
    if not pinned:
        script = scripts()["segue.js"]
        click.echo(f"This version: {host}{script.path}, integrity {script.integrity}", err=True)


def loader(key: str, host: str, pinned: bool = False) -> str:
    """The elements for a page's head: a queue, and the script of the Segue at this address."""
    script = scripts()["segue.js"]
    source = (
        f'src="{host}{script.path}" integrity="{script.integrity}" crossorigin' if pinned else f'src="{host}/segue.js"'
    )
    return f'{QUEUE}\n<script async {source} data-key="{key}"></script>'
