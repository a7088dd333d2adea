from tests.service.conftest import arguments, service, talkative

__all__ = ["arguments", "service", "talkative"]
