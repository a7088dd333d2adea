"""The configuration refuses what is wrong and says where each value came from."""

import itertools
import math
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, strategies

from assistant.config import (
    API_KEYS_VARIABLE,
    SECTIONS,
    Config,
    EngineConfig,
    ServerConfig,
    api_keys,
    load,
)
from assistant.errors import ConfigError

DEFAULT_FILE = Path(__file__).parent.parent / "configs" / "default.toml"


def written(folder: Path, text: str) -> Path:
    file = folder / "some.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_file_and_options_every_value_is_a_default() -> None:
    effective = load()
    assert effective.config == Config()
    assert set(effective.origins.values()) == {"default"}


def test_the_default_file_lists_exactly_every_key_with_its_default() -> None:
    document = tomllib.loads(DEFAULT_FILE.read_text(encoding="utf-8"))
    listed = {f"{section}.{key}" for section in document for key in document[section]}
    effective = load(DEFAULT_FILE)
    assert listed == {name for name, _, _ in effective.rows()}
    assert effective.config == Config()


def test_every_key_of_the_default_file_has_a_comment_above_it() -> None:
    lines = DEFAULT_FILE.read_text(encoding="utf-8").splitlines()
    for above, line in itertools.pairwise(lines):
        if re.match(r"\w+ = ", line):
            assert above.startswith("# "), line


def test_the_comments_of_the_default_file_give_the_bounds_of_every_number() -> None:
    text = DEFAULT_FILE.read_text(encoding="utf-8")
    for section, kind in SECTIONS.items():
        for name, annotation in kind.__annotations__.items():
            bounds = getattr(annotation, "__metadata__", None)
            if bounds is None:
                continue
            high = bounds[0].high
            last = (
                "no limit" if math.isinf(high) else f"{high:g}" if high < 1e6 else f"{high}"
            )
            table = text.split(f"[{section}]\n")[1]
            comment = table.split(f"\n{name} = ")[0].rsplit(" = ", 1)[-1]
            assert f"[{bounds[0].low:g}, {last}]" in comment, f"{section}.{name}"


def test_options_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, '[server]\nhost = "0.0.0.0"\nport = 1\n')
    effective = load(file, {"server.port": ("--port", 2)})
    assert effective.config.server == ServerConfig(host="0.0.0.0", port=2)
    assert effective.origins["server.host"] == str(file)
    assert effective.origins["server.port"] == "--port"
    assert effective.origins["server.tls"] == "default"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[server]\nprot = 1", "unknown key 'server.prot'"),
        ("[serve]\nport = 1", "unknown key 'serve'"),
        ("port = 1", "unknown key 'port'"),
        ('[server]\nport = "8000"', "server.port = '8000', must be of type int"),
        ("[server]\nport = 8000.0", "server.port = 8000.0, must be of type int"),
        ("[server]\nport = true", "server.port = True, must be of type int"),
        ("[server]\nport = -1", "server.port = -1, must be from 0 to 65535"),
        ("[server]\nport = 65536", "server.port = 65536, must be from 0 to 65535"),
        ("[server]\nhost = 1", "server.host = 1, must be of type str"),
        ('[server]\nallowed_origins = "x"', "must be a list of strings"),
        ("[server]\nallowed_origins = [1]", "must be a list of strings"),
        ("[reply]\ntemperature = nan", "reply.temperature = nan, must be from 0 to 2"),
        ("[reply]\ntemperature = inf", "reply.temperature = inf, must be from 0 to 2"),
        ("[reply]\ntemperature = true", "reply.temperature = True, must be of type float"),
        ('[engine]\ndtype = "fp8"', "must be one of 'auto', 'float32', 'bfloat16'"),
        ('[engine]\nquantization = "int4"', "must be one of 'none', 'int8', 'fp8'"),
        ("[engine]\nbackend = 1", "must be one of 'native', 'transformers'"),
        ("[pairing]\nmax_prompt_images = 1", "keep_prompt_images = 2, must not exceed"),
        ("[watch]\ninterval_ms = 100", "least_interval_ms = 250, must not exceed"),
        ("[engine]\nmax_sequence_tokens = 512", "must be below engine.max_sequence_tokens"),
        ("[server", "some.toml: "),
    ],
)
def test_what_is_wrong_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(named)):
        load(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: No such file"):
        load(tmp_path / "absent.toml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="utf-8"):
        load(file)


def test_a_wrong_option_is_named_as_it_was_typed() -> None:
    with pytest.raises(ConfigError, match=r"--port: server\.port = 99999"):
        load(None, {"server.port": ("--port", 99999)})


def test_an_integer_is_taken_where_a_float_belongs(tmp_path: Path) -> None:
    config = load(written(tmp_path, "[server]\ndrain_s = 3\n")).config
    assert config.server.drain_s == 3.0
    assert isinstance(config.server.drain_s, float)


@given(port=strategies.integers())
def test_a_port_is_taken_exactly_when_it_is_within_its_bounds(port: int) -> None:
    options = {"server.port": ("--port", port)}
    if 0 <= port <= 65535:
        assert load(None, options).config.server.port == port
    else:
        with pytest.raises(ConfigError):
            load(None, options)


def test_api_keys_come_from_the_environment_and_blanks_are_none() -> None:
    assert api_keys({}) == ()
    assert api_keys({API_KEYS_VARIABLE: " , "}) == ()
    assert api_keys({API_KEYS_VARIABLE: "one, two,"}) == ("one", "two")


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        EngineConfig().model = "other"  # type: ignore[misc]  # that it fails is the claim
