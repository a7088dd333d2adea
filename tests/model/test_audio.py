import pytest
import torch

from assistant.model.audio import AudioEncoder, split_windows
from assistant.model.config import AudioConfig
from tests.model.reference import ReferenceAudioEncoder, randomise

OUT_SIZE = 24


def audio_config(window_frames: int = 500, kernel_size: int = 3) -> AudioConfig:
    return AudioConfig(
        hidden_size=16,
        intermediate_size=24,
        num_blocks=2,
        num_heads=2,
        num_mels=80,
        conv_channels=6,
        depthwise_channels=16,
        kernel_size=kernel_size,
        time_reduction=8,
        bias_max_distance=window_frames,
        window_frames=window_frames,
    )


def features(num_frames: int, seed: int = 0) -> torch.Tensor:
    """Return something like log-mel features: [num_frames, 80]."""
    generator = torch.Generator().manual_seed(seed)
    return (12 + 4 * torch.randn(num_frames, 80, generator=generator)).clamp(min=0)


def encoder(config: AudioConfig) -> AudioEncoder:
    module = AudioEncoder(config, OUT_SIZE).eval()
    randomise(module)
    return module


@pytest.mark.parametrize("num_frames", [1, 7, 8, 9, 39, 40, 41, 80, 83])
def test_eight_mel_frames_make_one_token(num_frames: int) -> None:
    module = encoder(audio_config(window_frames=5))
    with torch.inference_mode():
        assert module(features(num_frames), "speech").shape == (
            -(-num_frames // 8),
            OUT_SIZE,
        )


def test_the_projectors_differ_and_share_the_encoder() -> None:
    module = encoder(audio_config())
    with torch.inference_mode():
        hidden = module.encode(features(50))
        speech, vision = module(features(50), "speech"), module(features(50), "vision")
        assert torch.equal(module.project(hidden, "speech"), speech)
        assert torch.equal(module.project(hidden, "vision"), vision)
    assert (speech - vision).abs().max() > 0.1


def test_a_full_window_can_be_encoded_before_the_recording_goes_on() -> None:
    config = audio_config(window_frames=5)
    module = encoder(config)
    recording = features(97)
    first, second, third = split_windows(97, config)
    with torch.inference_mode():
        hidden = module.encode(recording)
        assert torch.equal(module.encode_window(recording[:40], first), hidden[:5])
        assert torch.equal(module.encode_window(recording[:80], second), hidden[5:10])
        assert torch.equal(module.encode_window(recording, third), hidden[10:])


def test_the_cut_between_windows_does_not_change_the_subsampled_frames() -> None:
    """Every window is subsampled by itself, with the mel frames it depends on."""
    config = audio_config(window_frames=5)
    module = encoder(config)
    recording = features(97)
    heard: list[torch.Tensor] = []
    module.encoder.encoders[0].register_forward_pre_hook(
        lambda _, args: heard.append(args[0])
    )
    with torch.inference_mode():
        module.encode(recording)
        normalised = module.encoder.encoder_embedding(recording)
        whole = module.encoder.embed(normalised)
    assert [len(window) for window in heard] == [5, 5, 5]
    assert (torch.cat(heard)[:13] - whole).abs().max() <= 1e-6
    assert not torch.cat(heard)[13:].any()


def test_only_a_recording_of_several_windows_is_filled_up() -> None:
    config = audio_config()
    (single,) = split_windows(4000, config)
    assert (single.num_tokens, single.num_attended) == (500, 500)
    (short,) = split_windows(98, config)
    assert (short.num_tokens, short.num_attended) == (13, 13)
    _, last = split_windows(4001, config)
    assert (last.num_tokens, last.num_attended) == (1, 500)
    assert (last.mel_start, last.mel_stop) == (3992, 4001)


def test_bfloat16_is_close_to_float32() -> None:
    module = encoder(audio_config())
    with torch.inference_mode():
        exact = module(features(100), "speech")
        rounded = module.to(torch.bfloat16)(features(100), "speech")
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - exact).abs().max() < 0.1 * exact.abs().max()


def test_parameters_have_the_names_of_the_native_checkpoint() -> None:
    names = set(AudioEncoder(audio_config(), OUT_SIZE).state_dict())
    parts = ["feed_forward_in", "feed_forward_out"]
    linears = [f"{part}.{name}" for part in parts for name in ("gate_up_proj", "down_proj")]
    linears += [f"self_attn.{name}_proj" for name in "qkvo"]
    norms = ["layer_norm_att", "layer_norm", "conv.layer_norm"]
    norms += [f"{part}.layer_norm" for part in parts]
    convolutions = [
        "conv.glu.ext_pw_conv_1d",
        "conv.dw_sep_conv_1d.dw_conv",
        "conv.dw_sep_conv_1d.pw_conv",
        "conv.ext_pw_conv_1d",
    ]
    both = [*linears, *norms, *convolutions]
    block = {f"{part}.{kind}" for part in both for kind in ("weight", "bias")}
    block |= {"conv.glu.b1", "conv.glu.b2"}
    outside = ["encoder.embed.out", *(f"encoder.embed.conv.{n}" for n in (0, 2, 3, 5, 6))]
    outside += [
        f"{way}_proj_for_{mode}"
        for way in ("up", "down")
        for mode in ("speech", "vision_speech")
    ]
    assert names == {
        "encoder.encoder_embedding.global_mean",
        "encoder.encoder_embedding.global_invstd",
        "encoder.relative_attention_bias_layer.bias_values.weight",
        *(f"{part}.{kind}" for part in outside for kind in ("weight", "bias")),
        *(f"encoder.encoders.{n}.{name}" for n in range(2) for name in block),
    }


@pytest.mark.parity
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_embeddings_equal_those_of_transformers(kernel_size: int) -> None:
    """Float32, seed 0; embeddings reach 5, and the reference rounds as much."""
    config = audio_config(kernel_size=kernel_size)
    reference = ReferenceAudioEncoder(config, OUT_SIZE)
    module = AudioEncoder(config, OUT_SIZE).eval()
    module.load_state_dict(reference.module.state_dict(), strict=True)
    # 10 ms each: up to 45 s, around the step to a second window of 500 tokens.
    for num_frames in (1, 8, 48, 98, 498, 3992, 3999, 4000, 4001, 4008, 4498):
        recording = features(num_frames)
        for projector in ("speech", "vision"):
            expected = reference(recording, projector)
            with torch.inference_mode():
                embedded = module(recording, projector)
            assert (embedded - expected).abs().max() <= 3e-5, (num_frames, projector)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    module = encoder(audio_config())
    with torch.inference_mode():
        on_cpu = module(features(4100), "vision")
        on_gpu = module.cuda()(features(4100), "vision")
        rounded = module.to(torch.bfloat16)(features(4100), "vision")
    assert (on_gpu.cpu() - on_cpu).abs().max() <= 1e-4
    assert (rounded.cpu().float() - on_cpu).abs().max() < 0.1 * on_cpu.abs().max()
