"""The order in which functions go out, from the topology: who receives a message before who sends it.

    python -m infra.release.waves

prints it as JSON, a list of waves, each a list of functions. The functions of one wave go out together.
"""

import json
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

from emulator.topology import topology


def waves(topology: Mapping[str, Any]) -> Sequence[Sequence[str]]:
    """Waves of functions: each comes after all those that receive what it publishes.

    What a function publishes to itself orders nothing. Raises graphlib.CycleError where two functions publish to each
    other.
    """
    functions: Mapping[str, Any] = topology["functions"]
    order = TopologicalSorter(
        {
            name: {receiver for topic in function.get("publishes", ()) for receiver in _receivers(topology, topic)}
            - {name}
            for name, function in functions.items()
        }
    )
    order.prepare()
    found = []
    while order.is_active():
        wave = sorted(order.get_ready())
        order.done(*wave)
        found.append(wave)
    return found


def _receivers(topology: Mapping[str, Any], topic: str) -> set[str]:
    subscriptions = {**topology["subscriptions"], **topology["destinations"]["subscriptions"]}
    pushed = {each["function"] for each in subscriptions.values() if each["topic"] == topic and "function" in each}
    listening = {name for name, function in topology["functions"].items() if topic in function.get("listens", ())}
    return pushed | listening


if __name__ == "__main__":
    print(json.dumps(waves(topology())))
