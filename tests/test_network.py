import socket
import subprocess
import sys

import pytest

from tests.impairment import Profile
from tests.network import ImpairedNetwork, why_not

ECHO = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("10.77.0.1", 7000))
print("ready", flush=True)
while True:
    data, peer = server.recvfrom(2000)
    server.sendto(str(peer[1]).encode(), peer)
"""
ASK = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.bind(("10.77.0.2", 6000))
client.settimeout(float(sys.argv[2]))
answers = []
for _ in range(int(sys.argv[1])):
    client.sendto(b"who am I", ("10.77.0.1", 7000))
    try:
        answers.append(client.recv(100).decode())
    except TimeoutError:
        answers.append("-")
print(*answers)
"""


def echoed(address: str, port: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((address, port))
        client.settimeout(10.0)
        client.sendto(b"who am I", (ImpairedNetwork.SERVER, 7000))
        return client.recv(100).decode()


@pytest.mark.service
def test_two_programs_talk_through_the_impaired_network() -> None:
    if (reason := why_not()) is not None:
        pytest.skip(reason)

    def ask(network: ImpairedNetwork, times: int, within_s: float = 10.0) -> list[str]:
        program = [sys.executable, "-c", ASK, str(times), str(within_s)]
        command = [*network.at_client, *program]
        return (
            subprocess.run(command, check=True, capture_output=True).stdout.decode().split()
        )

    with ImpairedNetwork() as network:
        command = [*network.at_server, sys.executable, "-c", ECHO]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as echo:
            try:
                assert echo.stdout is not None
                assert echo.stdout.readline() == "ready\n"
                assert ask(network, 3) == ["6000"] * 3
                with network.inside("client"):
                    assert echoed(network.CLIENT, 6001) == "6001"
                network.move_client("10.77.0.9")
                with network.inside("client"):
                    assert echoed("10.77.0.9", 6001) == "6001"
                network.move_client(network.CLIENT)
                network.shift_ports(5)
                assert ask(network, 1) == ["6005"]
                network.set("clean", Profile(loss=1.0))
                assert ask(network, 2, within_s=0.2) == ["-"] * 2
                assert network.counts()["down"]["lost"] >= 2
                network.set("down")
                assert ask(network, 1, within_s=0.2) == ["-"]
            finally:
                echo.kill()
