"""Every stock client through every flow, and what the README says of it."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.clients.flows import FLOWS, Event, filled_in, flows, flows_in_words
from tests.clients.matrix import CLIENTS, README, Client, markdown, with_matrix
from tests.clients.npm import NODE
from tests.service.harness import RunningService, running

pytestmark = pytest.mark.clients

NAMES = [client.name for client in CLIENTS]


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningService]:
    with running() as service:
        yield service


@pytest.fixture(scope="module")
def demo_tls() -> Iterator[RunningService]:
    with running("--tls", "self-signed") as service:
        yield service


@pytest.fixture(scope="module")
def tls(arguments: tuple[str, ...]) -> Iterator[RunningService]:
    with running(*arguments, "--tls", "self-signed") as service:
        yield service


def skip_if_missing(client: Client) -> None:
    if client.missing():
        pytest.skip(client.missing())


@pytest.mark.parametrize("client", CLIENTS, ids=NAMES)
@pytest.mark.parametrize("flow", FLOWS)
def test_a_stock_client_gets_through_and_is_answered_rightly(
    client: Client, flow: str, request: pytest.FixtureRequest
) -> None:
    skip_if_missing(client)
    service = request.getfixturevalue("demo_tls" if client.needs_tls else "demo")
    client.go_through(flows()[flow], service.url)


@pytest.mark.parametrize("client", CLIENTS, ids=NAMES)
@pytest.mark.parametrize("flow", flows_in_words())
def test_a_stock_client_cuts_words_short(
    client: Client, flow: str, request: pytest.FixtureRequest
) -> None:
    skip_if_missing(client)
    service = request.getfixturevalue("tls" if client.needs_tls else "service")
    client.go_through(flows_in_words()[flow], service.url)


# --- the table ---------------------------------------------------------------------------


def pinned(client: Client) -> str:
    """Return the version that is installed for the tests."""
    if client.script:
        package = json.loads((NODE / "package.json").read_text())
        return str(package["dependencies"][client.package])
    constraints = README.with_name("configs") / "constraints.txt"
    (version,) = re.findall(rf"^{client.package}==(.+)$", constraints.read_text(), re.M)
    return str(version)


def test_the_readme_shows_every_client_and_flow_in_the_versions_that_are_tested() -> None:
    one = markdown({client: dict.fromkeys(FLOWS, "") for client in CLIENTS[:1]})
    heading, rule, _ = one.splitlines()
    rows = [
        f"| {client.name} | {pinned(client)} |{' ✓ |' * len(FLOWS)}" for client in CLIENTS
    ]
    readme = README.read_text()
    # Which marks it shows is what was found; that all are good is for the tests above.
    wanted = with_matrix(readme, "\n".join([heading, rule, *rows]))
    assert wanted == readme.replace("✗", "✓")


def test_the_names_of_the_flows_are_those_of_the_flows() -> None:
    assert tuple(flows()) == FLOWS


def test_the_table_has_a_mark_for_every_flow_and_says_which_client_is_not_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, _, absent, _ = CLIENTS
    monkeypatch.setenv("PATH", "")
    found = dict.fromkeys(FLOWS, "") | {"cancel": "AssertionError: no"}
    _, _, row, last = markdown({here: found, absent: {}}).splitlines()
    assert (row.count("✓"), row.count("✗")) == (len(FLOWS) - 1, 1)
    assert "not here: node is not installed" in last


def test_the_table_replaces_the_one_before_and_nothing_else() -> None:
    text = "one\n<!-- matrix: begin -->\nold\n<!-- matrix: end -->\ntwo\n"
    assert with_matrix(text, "| new |") == text.replace("old\n", "\n| new |\n\n")


def test_an_id_is_filled_in_that_came_last() -> None:
    added = "conversation.item.added"
    items = [("user", "u1"), ("assistant", "a1"), ("user", "u2")]
    received: list[Event] = [
        {"type": added, "item": {"role": role, "id": id}} for role, id in items
    ]
    event = {"type": "conversation.item.delete", "item_id": "@user"}
    assert filled_in(event, received) == event | {"item_id": "u2"}
    assert filled_in({"type": "response.cancel"}, []) == {"type": "response.cancel"}
