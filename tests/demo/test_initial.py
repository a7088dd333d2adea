import torch

from assistant.demo import initial


def test_filters_are_orthogonal_and_the_first_one_is_the_brightness() -> None:
    filters = initial.filters(60, 14).flatten(1)
    unit = filters / filters.norm(dim=1, keepdim=True)
    torch.testing.assert_close(unit @ unit.T, torch.eye(60), atol=1e-5, rtol=0)
    assert bool((filters[0] == filters[0, 0]).all())


def test_every_place_has_waves_of_its_own() -> None:
    waves = initial.waves(12, 64)
    assert waves.shape == (144, 64)
    assert len(torch.unique(waves, dim=0)) == 144
