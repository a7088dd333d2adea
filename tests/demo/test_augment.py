import numpy as np
import torch

from assistant.demo import augment


def clip(length: int) -> augment.Float16Array:
    return np.full((length, 80), 12, np.float16)


def test_clips_are_laid_out_whole_and_equally_long() -> None:
    clips = [clip(40), clip(90)]
    placing = augment.place([40, 90], np.random.default_rng(0))
    mels = augment.lay_out(clips, placing, torch.ones(2))
    assert mels.shape == (2, placing.num_frames, 80)
    for row, length, tempo in zip(mels, (40, 90), placing.tempos, strict=True):
        heard = int((row[:, 40] > 11).sum())
        assert abs(heard - length / float(tempo)) <= 2


def test_nothing_is_changed_where_nothing_is_asked_for() -> None:
    sound = np.random.default_rng(0).uniform(0, 15, (50, 80)).astype(np.float16)
    placing = augment.place([50], np.random.default_rng(0), varied=False)
    mels = augment.lay_out([sound], placing, torch.ones(1))[0]
    start = int(placing.starts[0])
    np.testing.assert_allclose(mels[start : start + 50], sound, atol=0.02)


def test_disturbed_features_stay_in_the_range_of_log_mel() -> None:
    rng = np.random.default_rng(0)
    mels = torch.from_numpy(rng.uniform(0, 18, (6, 60, 80))).float()
    disturbed = augment.disturb(mels, torch.zeros_like(mels), rng)
    assert disturbed.shape == mels.shape
    assert bool(torch.isfinite(disturbed).all())
    assert float(disturbed.min()) >= 0
    assert float(disturbed.max()) < 30


def test_the_same_seed_disturbs_in_the_same_way() -> None:
    mels = torch.full((2, 30, 80), 9.0)
    first, second = (
        augment.disturb(mels, torch.zeros_like(mels), np.random.default_rng(5))
        for _ in range(2)
    )
    assert torch.equal(first, second)
