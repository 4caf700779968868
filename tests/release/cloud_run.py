"""A stand-in for the API of Cloud Run, as much of it as gcloud itself needs to move a service; and for an empty log."""

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class CloudRun:
    """One service, whose first revision has all requests, and what it was told."""

    def __init__(self, name: str) -> None:
        ready = [{"type": kind, "status": "True"} for kind in ("Ready", "ConfigurationsReady", "RoutesReady")]
        first = f"{name}-00001"
        self.service: Mapping[str, Any] = {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "p", "generation": 1, "annotations": {}, "labels": {}},
            "spec": {
                "template": {"metadata": {}, "spec": {"containers": [{"image": "before"}]}},
                "traffic": [{"latestRevision": True, "percent": 100}],
            },
            "status": {
                "observedGeneration": 1,
                "latestCreatedRevisionName": first,
                "latestReadyRevisionName": first,
                "traffic": [{"latestRevision": True, "percent": 100, "revisionName": first}],
                "conditions": ready,
            },
        }
        self.specs: list[Mapping[str, Any]] = []

    def replace(self, wanted: Mapping[str, Any]) -> None:
        """Take a new specification; a changed template makes a revision, which is ready at once."""
        self.specs.append(wanted["spec"])
        generation = self.service["metadata"]["generation"] + 1
        status = deepcopy(self.service["status"])
        if wanted["spec"]["template"] != self.service["spec"]["template"]:
            name = wanted["spec"]["template"]["metadata"].get("name") or f"{wanted['metadata']['name']}-{generation:05}"
            status |= {"latestCreatedRevisionName": name, "latestReadyRevisionName": name}
        status["traffic"] = [
            {"revisionName": status["latestReadyRevisionName"], **target} for target in wanted["spec"]["traffic"]
        ]
        status["observedGeneration"] = generation
        metadata = {**self.service["metadata"], "generation": generation}
        self.service = {**self.service, "metadata": metadata, "spec": wanted["spec"], "status": status}

    def told(self) -> Sequence[Set[tuple[str, int | str]]]:
        """Each traffic it was given: revisions with their per cent or tag."""
        return [
            {
                (target.get("revisionName", "LATEST"), target.get("percent") or target["tag"])
                for target in spec["traffic"]
            }
            for spec in self.specs
        ]


@contextmanager
def served(cloud_run: CloudRun) -> Iterator[str]:
    """The address of a proxy behind which Google's services are this one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(cloud_run.service)

        def do_PUT(self) -> None:
            cloud_run.replace(json.loads(self._body()))
            self._answer(cloud_run.service)

        def do_POST(self) -> None:
            self._body()
            self._answer({"entries": []})

        def log_message(self, *_: object) -> None:
            pass

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers["Content-Length"]))

        def _answer(self, content: Mapping[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
