import torch

from assistant.demo.fork import Fork


def test_every_ending_goes_on_where_the_beginning_stops() -> None:
    fork = Fork.of(torch.tensor([[0, 0, 1, 1, 1, 2, 2, -1], [0] * 8]))
    assert fork.positions.tolist() == [[0, 1, 2, 3, 4, 2, 3, 7], list(range(8))]


def test_an_ending_reads_the_beginning_and_itself() -> None:
    mask = Fork.of(torch.tensor([[0, 0, 1, 1, 2, 2, -1]])).mask[0, 0]
    assert (mask == 0).int().tolist() == [
        [1, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 1, 0, 0],
        [1, 1, 0, 0, 1, 1, 0],
        [1, 1, 0, 0, 0, 0, 1],
    ]
    assert set(mask.flatten().tolist()) == {0.0, -torch.inf}
