import pytest

from assistant.engine.backend import Backend
from assistant.engine.native_backend import NativeBackend
from tests.engine.fakes import FakeBackend

METHODS = [name for name in vars(Backend) if callable(getattr(Backend, name))]


def test_the_toy_is_a_backend() -> None:
    backend: Backend = FakeBackend()  # what mypy proves; attributes need an instance
    assert all(hasattr(backend, name) for name in Backend.__annotations__)


@pytest.mark.parametrize("kind", [FakeBackend, NativeBackend])
def test_backends_have_every_method_of_the_protocol(kind: type[Backend]) -> None:
    public = [name for name in METHODS if not name.startswith("_")]
    assert len(public) == 9
    assert all(callable(getattr(kind, name)) for name in public)
