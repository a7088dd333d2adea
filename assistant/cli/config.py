"""``assistant config``: the effective configuration, with where each value came from."""

import argparse
from collections.abc import Iterator

from assistant.cli.options import add_config_option, effective_configuration
from assistant.config import API_KEYS_VARIABLE, Effective, api_keys


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to argparse."""
    parser = commands.add_parser("config", help="print the effective configuration")
    add_config_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the configuration; return the exit status."""
    effective = effective_configuration(options)
    print("\n".join(as_toml(effective)))
    print(f"\n# {API_KEYS_VARIABLE} (environment): {len(api_keys())} keys")
    return 0


def as_toml(effective: Effective) -> Iterator[str]:
    """Yield the lines of a TOML document that ``config.load`` reads back unchanged."""
    section = ""
    for name, value, origin in effective.rows():
        table, key = name.split(".")
        if table != section:
            if section:
                yield ""
            yield f"[{table}]"
            section = table
        yield f"{f'{key} = {toml_value(value)}':<40} # {_toml_comment(origin)}"


def toml_value(value: object) -> str:
    """Write one value of the configuration in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{"".join(_escaped(character) for character in value)}"'
    if isinstance(value, tuple):
        return f"[{', '.join(toml_value(element) for element in value)}]"
    assert isinstance(value, int | float)
    return repr(value)


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if ord(character) < 0x20 or ord(character) == 0x7F:
        return f"\\u{ord(character):04x}"
    return character


def _toml_comment(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
