"""What is believed of a hub's answers, and who gets to see the token."""

import shutil
from pathlib import Path

import pytest

from assistant.certificate import self_signed
from assistant.cli.hub import Hub, Unreachable, is_safe_name, is_wanted
from assistant.errors import CommandError
from tests.cli.fake_hub import COMMIT, FakeHub, serving

FILES = {"config.json": b"{}", "model.safetensors": b"weights", "modeling.py": b"evil()"}


def test_a_listing_has_digests_of_both_kinds_and_no_code() -> None:
    with serving(FakeHub(FILES)) as fake:
        listing = Hub(fake.address).listing("org/name", "main")
    assert listing.commit == COMMIT
    assert [file.name for file in listing.files] == ["config.json", "model.safetensors"]
    assert [len(file.digest) for file in listing.files] == [40, 64]
    assert listing.files[1].num_bytes == len(b"weights")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "HF_TOKEN"),
        (403, "accept its terms"),
        (404, "no such model"),
        (418, "answered 418"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, message: str) -> None:
    fake = FakeHub(FILES, statuses=[status])
    with serving(fake), pytest.raises(CommandError, match=message):
        Hub(fake.address).listing("org/name", "main")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_that_is_busy_may_be_asked_again(status: int) -> None:
    fake = FakeHub(FILES, statuses=[status])
    with serving(fake), pytest.raises(Unreachable, match=str(status)):
        Hub(fake.address).listing("org/name", "main")


def test_a_hub_that_is_not_there_may_be_asked_again() -> None:
    with serving(FakeHub(FILES)) as fake:
        address = fake.address
    with pytest.raises(Unreachable, match="refused"):
        Hub(address).listing("org/name", "main")


def test_an_endpoint_that_is_no_address_is_refused() -> None:
    with pytest.raises(CommandError, match="is not the address of a hub"):
        Hub("huggingface").listing("org/name", "main")


def test_the_token_is_shown_to_the_hub_and_not_to_its_storage() -> None:
    with (
        serving(FakeHub(FILES)) as storage,
        serving(FakeHub(FILES, token="t", storage_address=storage.address)) as fake,
    ):
        content = Hub(fake.address, "t").content("org/name", COMMIT, "model.safetensors", 0)
        with content.stream:
            assert content.read(100) == b"weights"
    assert fake.asked[0][2] == "Bearer t"
    assert storage.asked[0][2] == ""


def test_the_token_follows_a_redirect_within_the_hub() -> None:
    with serving(FakeHub(FILES, token="t")) as fake:
        fake.storage_address = fake.address + "/moved"
        with pytest.raises(CommandError, match="404"):
            Hub(fake.address, "t").content("org/name", COMMIT, "model.safetensors", 0)
    assert [token for _, _, token in fake.asked] == ["Bearer t", "Bearer t"]


def test_a_redirect_to_another_protocol_is_not_followed() -> None:
    fake = FakeHub(FILES, storage_address="ftp://127.0.0.1:1")
    with serving(fake), pytest.raises(Unreachable, match="redirect from http to ftp"):
        Hub(fake.address).content("org/name", COMMIT, "model.safetensors", 0)


def test_a_content_continues_where_the_hub_says_it_does() -> None:
    with serving(FakeHub(FILES)) as fake:
        content = Hub(fake.address).content("org/name", COMMIT, "model.safetensors", 3)
        with content.stream:
            assert (content.start, content.read(100)) == (3, b"ghts")
        fake.has_ranges = False
        content = Hub(fake.address).content("org/name", COMMIT, "model.safetensors", 3)
        with content.stream:
            assert (content.start, content.read(100)) == (0, b"weights")


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_a_hub_with_an_untrusted_certificate_is_not_asked_again(tmp_path: Path) -> None:
    fake = FakeHub(FILES, certificate=self_signed(tmp_path, ("localhost", "127.0.0.1")))
    with serving(fake), pytest.raises(CommandError, match="self-signed certificate"):
        Hub(fake.address).listing("org/name", "main")
    assert fake.asked == []


@pytest.mark.parametrize(
    "listing",
    [
        [],
        {"sha": COMMIT},
        {"sha": "main", "siblings": []},
        {"sha": COMMIT, "siblings": [{"rfilename": "a.json"}]},
        {"sha": COMMIT, "siblings": [{"rfilename": "a.json", "size": 1, "blobId": "x"}]},
        {
            "sha": COMMIT,
            "siblings": [{"rfilename": "a.json", "size": -1, "blobId": "0" * 40}],
        },
    ],
)
def test_a_listing_of_another_form_is_refused(listing: object) -> None:
    fake = FakeHub(FILES, listing=listing or ["empty"])
    with serving(fake), pytest.raises(CommandError, match="gave no list of files"):
        Hub(fake.address).listing("org/name", "main")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd.json",
        "../config.json",
        "a/../../config.json",
        "a//b.json",
        "./a.json",
        "a\\..\\b.json",
        "C:evil.json",
        "a\n.json",
        "a\x00.json",
    ],
)
def test_a_hostile_name_is_refused_with_the_whole_listing(name: str) -> None:
    assert not is_safe_name(name)
    fake = FakeHub({"config.json": b"{}", name: b"x"})
    with serving(fake), pytest.raises(CommandError, match="nothing is fetched"):
        Hub(fake.address).listing("org/name", "main")


def test_names_in_folders_are_safe() -> None:
    assert is_safe_name("speech-lora/adapter_model.safetensors")


def test_only_weights_data_and_licences_are_wanted() -> None:
    wanted = [
        "a.safetensors",
        "a/b.json",
        "x.jinja",
        "merges.txt",
        "LICENSE",
        "a/README.md",
    ]
    unwanted = [
        "a.py",
        "a.bin",
        "a.pt",
        "a.pkl",
        "a.gguf",
        "x.sh",
        ".gitattributes",
        "a.png",
    ]
    assert all(is_wanted(name) for name in wanted)
    assert not any(is_wanted(name) for name in unwanted)
