"""Every stock client through every flow, against a model whose answers are long."""

from collections.abc import Iterator

import pytest

from tests.clients.flows import FLOWS
from tests.clients.matrix import CLIENTS, Client, markdown
from tests.service.harness import RunningService, running

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def tls(arguments: tuple[str, ...]) -> Iterator[RunningService]:
    with running(*arguments, "--tls", "self-signed") as service:
        yield service


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_stock_client_gets_through(
    client: Client, flow: str, request: pytest.FixtureRequest
) -> None:
    if client.missing():
        pytest.skip(client.missing())
    service = request.getfixturevalue("tls" if client.needs_tls else "service")
    client.go_through(flow, service.url)


def test_the_table_has_a_mark_for_every_flow_and_says_which_client_is_not_here() -> None:
    here, *others = CLIENTS
    absent = next((client for client in others if client.missing()), None)
    found = dict.fromkeys(FLOWS, "") | {"cancel": "AssertionError: no"}
    table: dict[Client, dict[str, str]] = {here: found}
    if absent is not None:
        table[absent] = {}
    _, _, row, *rest = markdown(table).splitlines()
    assert (row.count("✓"), row.count("✗")) == (len(FLOWS) - 1, 1)
    assert all("not here" in line for line in rest)
