"""Who may do what in the cloud: what the files of `infra/terraform` must never allow, whatever else changes in them."""

import ast
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, get_args

import hcl2
import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from emulator.topology import topology
from segue import settings, telemetry
from segue.domain import message
from segue.domain.enrichment.place import HEADERS
from segue.entrypoint import HEALTH
from tests.project.files import ROOT
from tests.terraform.configuration import FOLDER, Body, blocks, of_type, parsed, resources, texts

FUNCTIONS: Mapping[str, Mapping[str, Any]] = topology()["functions"]

RELEASE_IN_THE_PROJECT = {"roles/logging.logWriter", "roles/logging.viewer", "roles/ondemandscanning.admin"}
"""What a release may do in the whole project, since Google gives it no narrower: log, read what functions log, scan."""

ALLOWED_ROLES = RELEASE_IN_THE_PROJECT | {
    "roles/artifactregistry.writer",
    "roles/bigquery.dataEditor",
    "roles/bigquery.dataViewer",
    "roles/bigquery.jobUser",
    "roles/datastore.user",
    "roles/datastore.viewer",
    "roles/iam.serviceAccountTokenCreator",
    "roles/iam.serviceAccountUser",
    "roles/pubsub.publisher",
    "roles/pubsub.subscriber",
    "roles/run.developer",
    "roles/run.invoker",
    "roles/secretmanager.secretAccessor",
    "roles/storage.objectCreator",
    "roles/telemetry.tracesWriter",
}

SUBSCRIPTIONS = of_type("google_pubsub_subscription")

each_function = pytest.mark.parametrize("name", FUNCTIONS)


@cache
def code_of(name: str) -> Sequence[ast.AST]:
    """Every node of a function's code."""
    paths = sorted((ROOT / "functions" / name).glob("*.py"))
    return [node for path in paths for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]


def calls_of(name: str, method: str) -> list[ast.Call]:
    return [
        node
        for node in code_of(name)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method
    ]


def names_in(name: str) -> set[str]:
    return {node.attr for node in code_of(name) if isinstance(node, ast.Attribute)}


def within(body: Body, *path: str) -> list[Body]:
    """The blocks at the end of a path of blocks."""
    found = [body]
    for name in path:
        found = [inner for outer in found for inner in blocks(outer, name)]
    return found


def test_only_ingest_lookup_and_stream_are_public() -> None:
    assert {name for name, function in FUNCTIONS.items() if function["callers"] == "anyone"} == {
        "ingest",
        "lookup",
        "stream",
    }
    assert {function["callers"] for function in FUNCTIONS.values()} == {"anyone", "subscriptions"}


@each_function
def test_a_function_has_addresses_or_subscriptions_by_who_calls_it(name: str) -> None:
    pushed = {wanted.get("function") for wanted in topology()["subscriptions"].values()}
    anyone = FUNCTIONS[name]["callers"] == "anyone"
    assert (bool(FUNCTIONS[name].get("paths")), name in pushed) == (anyone, not anyone)


def test_anyone_may_call_nothing_but_the_public_functions() -> None:
    assert {
        (found.type, found.body["for_each"])
        for found in resources()
        if {"allUsers", "allAuthenticatedUsers"} & {str(value) for value in found.body.values()}
    } == {("google_cloud_run_v2_service_iam_member", "${local.public}")}
    (public,) = re.findall(r"^  public += (.*)", texts()["topology.tf"], re.MULTILINE)
    assert public.endswith('if function.callers == "anyone" }')


def test_a_service_is_reached_through_the_load_balancer_or_from_within_alone() -> None:
    assert [found.body["ingress"] for found in of_type("google_cloud_run_v2_service")] == [
        '${each.value.callers == "anyone" ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_INTERNAL_ONLY"}'
    ]


def test_each_function_is_one_service_with_an_account_of_its_own() -> None:
    (service,) = of_type("google_cloud_run_v2_service")
    assert service.body["for_each"] == "${local.functions}"
    assert within(service.body, "template")[0]["service_account"] == (
        "${google_service_account.functions[each.key].email}"
    )
    assert {"${local.functions}"} == {
        found.body["for_each"] for found in of_type("google_service_account") if found.name == "functions"
    }


def test_no_default_account_is_given_a_right_or_a_task() -> None:
    everything = "\n".join(texts().values())
    assert not re.search(r"developer\.gserviceaccount|default_service_account|appspot", everything)


def test_no_account_has_a_key() -> None:
    assert of_type("google_service_account_key") == []


def test_every_role_is_one_of_few() -> None:
    assert {role for text in texts().values() for role in re.findall(r"roles/[\w.*]+", text)} == ALLOWED_ROLES
    own = {found.name: found.body["permissions"] for found in of_type("google_project_iam_custom_role")}
    assert own == {
        "eraser": ["bigquery.tables.get", "bigquery.tables.getData", "bigquery.tables.updateData"],
        "listener": ["pubsub.subscriptions.consume", "pubsub.subscriptions.create", "pubsub.subscriptions.delete"],
    }


def test_rights_are_added_to_what_others_have_given() -> None:
    granting = {found.type for found in resources() if "_iam_" in found.type}
    assert {type_ for type_ in granting if not type_.endswith(("_iam_member", "_iam_custom_role"))} == set()


def test_a_right_in_the_whole_project_is_about_one_database_or_has_no_narrower_one() -> None:
    of_one_database = {
        "databases": 'resource.name == "${each.value.database}"',
        "release_catalog": 'resource.name == "${google_firestore_database.catalog.id}"',
    }
    for found in of_type("google_project_iam_member"):
        conditions = [block["expression"] for block in blocks(found.body, "condition")]
        assert conditions == [of_one_database[name] for name in of_one_database if name == found.name], found.name
    without = {
        found.name: found.body for found in of_type("google_project_iam_member") if found.name not in of_one_database
    }
    assert set(without) == {"listeners", "queries", "release", "tracers"}
    assert without["listeners"]["role"] == "${google_project_iam_custom_role.listener.id}"
    assert without["queries"]["role"] == "roles/bigquery.jobUser"  # to ask: what may be read takes another right
    assert without["tracers"]["role"] == "roles/telemetry.tracesWriter"  # a project is all that spans belong to
    assert set(re.findall(r"roles/[\w.]+", str(without["release"]["for_each"]))) == RELEASE_IN_THE_PROJECT


def test_a_release_changes_functions_and_publishes_the_catalogue_and_can_read_nothing_of_visitors() -> None:
    its_own = "${google_service_account.release.member}"
    rights = {found.address: found.body.get("role") for found in resources() if found.body.get("member") == its_own}
    assert rights == {
        "google_cloud_run_v2_service_iam_member.release": "roles/run.developer",
        "google_service_account_iam_member.release": "roles/iam.serviceAccountUser",
        "google_artifact_registry_repository_iam_member.release": "roles/artifactregistry.writer",
        "google_project_iam_member.release_catalog": "roles/datastore.user",
        "google_project_iam_member.release": "${each.key}",
        "google_storage_bucket_iam_member.release": "roles/storage.objectCreator",
    }
    assert {found.body["service_account"] for found in of_type("google_cloudbuild_trigger")} == {
        "${google_service_account.release.id}"
    }
    acts_as = next(found for found in of_type("google_service_account_iam_member") if found.name == "release")
    assert acts_as.body["service_account_id"] == "${google_service_account.functions[each.key].name}"


def test_ingest_can_publish_events_and_read_the_catalogue_and_nothing_else() -> None:
    ingest = FUNCTIONS["ingest"]
    rights = ("publishes", "store", "catalog", "archive", "listens")
    assert {right: ingest[right] for right in rights if right in ingest} == {"publishes": ["events"], "catalog": "read"}


@each_function
def test_a_function_may_publish_to_what_it_publishes_to(name: str) -> None:
    def topic(call: ast.Call) -> str:
        named = call.args[0]
        if isinstance(named, ast.Name):
            return str(getattr(message, named.id))
        assert ast.unparse(named).startswith("_retry_topic(")
        return "retry-{destination}"

    buses = [call for call in calls_of(name, "publish") if ast.unparse(call.func).endswith("bus.publish")]
    assert {topic(call) for call in buses} == set(FUNCTIONS[name].get("publishes", ()))


@each_function
def test_a_function_may_write_documents_if_it_does(name: str) -> None:
    writes = calls_of(name, "commit") or calls_of(name, "acknowledge")
    reads = {"store", "_store"} & names_in(name)
    assert FUNCTIONS[name].get("store") == ("write" if writes else "read" if reads else None)


@each_function
def test_a_function_may_read_the_archive_or_erase_of_it_if_it_does(name: str) -> None:
    erases = any(ast.unparse(call.func).endswith("archive.erase") for call in calls_of(name, "erase"))
    reads = {"archive", "_archive"} & names_in(name)
    assert FUNCTIONS[name].get("archive") == ("write" if erases else "read" if reads else None)
    (asking, editing) = of_type("google_bigquery_dataset_iam_member")
    assert {asking.body["for_each"], asking.body["role"]} == {
        "${local.archiving}",
        "${local.archive_roles[each.value]}",
    }
    assert editing.name == "pubsub"


@each_function
def test_a_function_may_publish_a_catalogue_if_it_does(name: str) -> None:
    publishes = any(ast.unparse(call.func) == "catalogs.finish" for call in calls_of(name, "finish"))
    assert FUNCTIONS[name]["catalog"] == ("write" if publishes else "read")


@each_function
def test_a_function_knows_the_secrets_that_it_uses(name: str) -> None:
    used = {f"SEGUE_{attribute.upper()}" for attribute in names_in(name) if attribute.endswith("_secrets")}
    files = {"SEGUE_STORAGE_SECRETS"} if "objects" in names_in(name) else set()
    documented = set(re.findall(r"SEGUE_\w*SECRETS?\b", settings.__doc__ or ""))
    assert set(FUNCTIONS[name]["secrets"]) == {"SEGUE_PROFILE_SECRET"} | (used & documented) | files


def test_every_push_proves_who_it_is_and_comes_unwrapped() -> None:
    pushes = [block for found in SUBSCRIPTIONS for block in blocks(found.body, "push_config")]
    assert [sorted(within(push, "oidc_token")[0].items()) for push in pushes] == [
        [
            ("__is_block__", True),
            ("audience", "${local.audiences[each.value.function]}"),
            ("service_account_email", "${google_service_account.push.email}"),
        ]
    ]
    assert [within(push, "no_wrapper")[0]["write_metadata"] for push in pushes] == [True]


def test_every_subscription_has_a_dead_letter_topic_but_that_of_the_dead_letters() -> None:
    assert len(SUBSCRIPTIONS) == 2
    assert all(blocks(found.body, "dead_letter_policy") for found in SUBSCRIPTIONS)
    assert "if subscription.topic != subscription.dead_letter.topic" in texts()["topics.tf"]


def test_every_subscription_retries_keeps_and_stays() -> None:
    for found in SUBSCRIPTIONS:
        assert "message_retention_duration" in found.body
        assert [block["ttl"] for block in blocks(found.body, "expiration_policy")] == [""]
        (retry,) = blocks(found.body, "retry_policy")
        assert {"minimum_backoff", "maximum_backoff"} <= set(retry)


def test_the_archives_are_sorted_by_what_a_history_is_asked_by_and_hold_text_as_it_came() -> None:
    (archives,) = [found for found in of_type("google_bigquery_table") if found.name == "archives"]
    assert archives.body["clustering"] == '${each.value == "STRING" ? ["data"] : null}'
    columns = re.findall(r"name\W+(\w+)\W+type\W+([\w.]+)", str(archives.body["schema"]))
    assert dict(columns) == {
        "subscription_name": "STRING",
        "message_id": "STRING",
        "publish_time": "TIMESTAMP",
        "attributes": "JSON",
        "data": "each.value",
    }


def test_every_secret_comes_from_secret_manager_and_no_file_has_its_value() -> None:
    (service,) = of_type("google_cloud_run_v2_service")
    plain, secret = within(service.body, "template", "containers", "env")
    assert (plain["name"], plain["value"]) == ("${env.key}", "${env.value}")
    assert secret["name"] == "${env.value}"
    assert within(secret, "value_source", "secret_key_ref")
    assert "SECRET" not in texts()["services.tf"]
    assert of_type("google_secret_manager_secret_version") == []


@each_function
def test_a_function_has_an_entry_point_in_its_source(name: str) -> None:
    source = ast.parse((ROOT / FUNCTIONS[name]["source"]).read_text(encoding="utf-8"))
    defined = {node.name for node in source.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert FUNCTIONS[name]["target"] in defined
    if FUNCTIONS[name].get("server") == "uvicorn":
        assert (ROOT / "functions" / name / "__main__.py").exists()


def test_an_instance_is_asked_whether_it_is_healthy_where_every_function_answers_that() -> None:
    (service,) = of_type("google_cloud_run_v2_service")
    (container,) = within(service.body, "template", "containers")
    probes = [*blocks(container, "startup_probe"), *blocks(container, "liveness_probe")]
    assert [within(probe, "http_get")[0]["path"] for probe in probes] == [HEALTH, HEALTH]


def test_the_load_balancer_sends_each_public_function_its_own_paths_under_its_limits() -> None:
    (url_map,) = [found for found in of_type("google_compute_url_map") if found.name == "public"]
    (rule,) = within(url_map.body, "path_matcher", "path_rule")
    assert rule["paths"] == "${path_rule.value.paths}"
    assert rule["service"] == "${google_compute_backend_service.functions[path_rule.key].id}"
    (service,) = of_type("google_compute_backend_service")
    assert service.body["for_each"] == "${local.public}"
    assert service.body["security_policy"] == "${google_compute_security_policy.limits[each.key].id}"


def test_the_load_balancer_says_where_a_visitor_is_in_every_header_that_ingest_believes() -> None:
    (service,) = of_type("google_compute_backend_service")
    set_here = {header.split(":")[0].lower() for header in service.body["custom_request_headers"]}
    assert set_here == set(HEADERS["client-geo"].values())


@pytest.mark.parametrize(
    "said",
    [
        "203.0.113.7, 198.51.100.9",
        "6.6.6.6, 203.0.113.7, 198.51.100.9",
        "6.6.6.6, 203.0.113.7, 198.51.100.9, 35.191.1.1",
    ],
    ids=["as it is", "with an address of the visitor's own", "through a front end"],
)
async def test_a_visitors_address_is_what_the_load_balancer_says_and_not_the_visitor(said: str) -> None:
    (hops,) = re.findall(r"^  hops = \[(.*)\]", texts()["services.tf"], re.MULTILINE)
    trusted = [*re.findall(r"[\d./]+", hops), "198.51.100.9"]

    async def tell(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(Request(scope).client.host)(scope, receive, send)  # type: ignore[union-attr]

    seen = httpx.ASGITransport(ProxyHeadersMiddleware(tell, trusted), client=("169.254.169.126", 1))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=seen, base_url="http://segue") as http:
        assert (await http.get("/", headers={"x-forwarded-for": said})).text == "203.0.113.7"


def test_no_log_of_requests_is_kept() -> None:
    (service,) = of_type("google_compute_backend_service")
    assert [block["enable"] for block in blocks(service.body, "log_config")] == [False]
    (exclusion,) = of_type("google_logging_project_exclusion")
    assert "run.googleapis.com/requests" in exclusion.body["filter"]


def test_what_is_counted_in_the_log_is_an_event_of_it() -> None:
    (named,) = [block["counted"] for block in parsed()["logs.tf"]["locals"]]
    counted = {event for name, event in named.items() if not name.startswith("__")}
    assert counted <= set(get_args(telemetry.EventName))
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "shared").rglob("*.py")))
    assert not counted & set(re.findall(r'note\("(\w+)", "DEBUG"', code)), "what is not logged cannot be counted"


def test_every_environment_says_what_has_no_default_and_nothing_unknown() -> None:
    variables = {name: body for block in parsed()["variables.tf"]["variable"] for name, body in block.items()}
    required = {name for name, body in variables.items() if "default" not in body}
    for path in sorted(FOLDER.glob("*.tfvars")):
        given = {name for name in hcl2.loads(path.read_text(encoding="utf-8")) if not name.startswith("__")}
        assert required <= given <= set(variables), path.name


def test_each_address_leads_to_one_function() -> None:
    paths: Sequence[str] = [path for function in FUNCTIONS.values() for path in function.get("paths", ())]
    assert sorted(set(paths)) == sorted(paths)


def test_the_topology_names_every_collection_of_documents() -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "shared" / "segue" / "domain").glob("*.py"))
    )
    found = set(re.findall(r'return f"([a-z_]+)/\{', code)) | {"states", "profiles", "failed_events", "links", "sweeps"}
    assert set(topology()["collections"]) == found


def test_the_topology_names_every_field_that_a_document_has() -> None:
    code = (ROOT / "shared" / "segue" / "adapters" / "google" / "store.py").read_text(encoding="utf-8")
    (mask,) = re.findall(r"field_paths=(\[.*?\])", code)
    assert set(topology()["fields"]) == {*ast.literal_eval(mask), *re.findall(r'field_path="(\w+)", increment', code)}
