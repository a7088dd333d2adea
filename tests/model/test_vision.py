import numpy as np
import numpy.typing as npt
import pytest
import torch

from assistant.errors import CheckpointError
from assistant.model.config import VisionConfig
from assistant.model.images import PreparedImage, prepare_image
from assistant.model.vision import ImageEncoder
from tests.model.reference import ReferenceImageEncoder, randomise

OUT_SIZE = 24


def vision_config(image_size: int = 56, patch_size: int = 14) -> VisionConfig:
    return VisionConfig(
        hidden_size=16,
        intermediate_size=24,
        num_used_layers=3,
        num_heads=2,
        image_size=image_size,
        patch_size=patch_size,
        layer_norm_eps=1e-6,
    )


def picture(width: int, height: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return a picture [height, width, 3] in which no two regions are alike."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 200, (height // 7 + 1, width // 7 + 1, 3))
    fine = generator.integers(0, 56, (height, width, 3))
    return (coarse.repeat(7, 0).repeat(7, 1)[:height, :width] + fine).astype(np.uint8)


def prepared(
    width: int, height: int, max_crops: int, config: VisionConfig
) -> PreparedImage:
    return prepare_image(
        picture(width, height), max_crops, config.image_size, config.patch_size
    )


def encoder(config: VisionConfig) -> ImageEncoder:
    module = ImageEncoder(config, OUT_SIZE).eval()
    randomise(module)
    return module


SIZES = [(56, 56), (40, 40), (80, 60), (60, 80), (56, 49), (57, 20), (200, 90), (23, 160)]


@pytest.mark.parametrize("max_crops", [1, 2, 6])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_savings_do_not_change_the_embeddings(
    width: int, height: int, max_crops: int
) -> None:
    config = vision_config()
    image = prepared(width, height, max_crops, config)
    module = encoder(config)
    with torch.inference_mode():
        fast, plain = module(image), module.encode_plain(image)
    assert fast.shape == (image.num_tokens, OUT_SIZE)
    assert (fast - plain).abs().max() <= 1e-5


def test_every_crop_and_every_separator_matters() -> None:
    config = vision_config()
    image = prepared(100, 100, 4, config)
    module = encoder(config)
    with torch.inference_mode():
        before = module(image)
        for crop in range(5):
            crops = image.crops.copy()
            crops[crop] = 0
            changed = PreparedImage(
                crops, image.patch_masks, image.grid, image.valid_rows, image.valid_cols, 0
            )
            difference = (module(changed) - before).abs().amax(dim=1)
            # 4 rows and columns of pooled patches, a separator in each row; then the
            # separator of the parts; then 2 x 2 of the global crop, with separators.
            seen = difference[21:] if crop == 0 else difference[:20]
            unseen = difference[:21] if crop == 0 else difference[20:]
            assert int((seen > 1e-3).sum()) == 4
            assert not unseen.any()


def patches_encoded(width: int, height: int, max_crops: int) -> int:
    config = vision_config()
    module = encoder(config)
    counts: list[int] = []

    def count(_: object, args: tuple[torch.Tensor, ...]) -> None:
        counts.append(args[0].shape[0] * args[0].shape[1])

    module.img_processor.layers[0].register_forward_pre_hook(count)
    with torch.inference_mode():
        module(prepared(width, height, max_crops, config))
    return sum(counts)


def test_a_square_frame_is_encoded_once() -> None:
    assert patches_encoded(300, 300, max_crops=1) == 16


def test_rows_that_only_show_filling_are_not_encoded() -> None:
    assert patches_encoded(56, 28, max_crops=1) == 16 + 8


def test_an_odd_last_row_is_encoded_with_the_filling_it_is_pooled_with() -> None:
    assert patches_encoded(56, 42, max_crops=1) == 16 + 16


def test_parameters_have_the_names_of_the_native_checkpoint() -> None:
    names = set(ImageEncoder(vision_config(), OUT_SIZE).state_dict())
    tower = "img_processor"
    layer = {
        f"{part}.{kind}"
        for part in (
            "layer_norm1",
            "layer_norm2",
            "self_attn.q_proj",
            "self_attn.k_proj",
            "self_attn.v_proj",
            "self_attn.out_proj",
            "mlp.fc1",
            "mlp.fc2",
        )
        for kind in ("weight", "bias")
    }
    assert names == {
        f"{tower}.embeddings.patch_embedding.weight",
        f"{tower}.embeddings.patch_embedding.bias",
        f"{tower}.embeddings.position_embedding.weight",
        *(f"{tower}.encoder.layers.{n}.{name}" for n in range(3) for name in layer),
        "img_projection_up.weight",
        "img_projection_up.bias",
        "img_projection_down.weight",
        "img_projection_down.bias",
        "global_img_feature_extensor",
        "sub_img_feature_extensor",
    }


def test_bfloat16_is_close_to_float32() -> None:
    config = vision_config()
    image = prepared(80, 60, 4, config)
    module = encoder(config)
    with torch.inference_mode():
        exact = module(image)
        rounded = module.to(torch.bfloat16)(image)
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - exact).abs().max() < 0.1 * exact.abs().max()


def test_crops_that_cannot_be_pooled_are_refused() -> None:
    with pytest.raises(CheckpointError, match="even number"):
        ImageEncoder(vision_config(image_size=70), OUT_SIZE)


@pytest.mark.parity
def test_embeddings_equal_those_of_transformers() -> None:
    """Float32, seed 0; embeddings reach 10, and the reference rounds as much."""
    for image_size, sizes in (
        (448, [(640, 480), (448, 448), (448, 336), (333, 517), (1280, 720), (60, 900)]),
        (112, [*SIZES, (640, 480), (200, 333), (500, 97), (112, 112), (449, 449)]),
    ):
        config = vision_config(image_size)
        reference = ReferenceImageEncoder(config, OUT_SIZE)
        module = ImageEncoder(config, OUT_SIZE).eval()
        module.load_state_dict(reference.used_weights(), strict=True)
        for width, height in sizes:
            for max_crops in (1, 4):
                image = prepared(width, height, max_crops, config)
                expected = reference(
                    torch.from_numpy(image.crops),
                    torch.from_numpy(image.patch_masks),
                    image.grid,
                    image.num_tokens,
                )
                with torch.inference_mode():
                    embedded = module(image)
                assert (embedded - expected).abs().max() <= 3e-5, (width, height, max_crops)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    config = vision_config(448)
    image = prepared(640, 480, 4, config)
    module = encoder(config)
    with torch.inference_mode():
        on_cpu = module(image)
        on_gpu = module.cuda()(image)
        rounded = module.to(torch.bfloat16)(image)
    assert (on_gpu.cpu() - on_cpu).abs().max() <= 1e-4
    assert (rounded.cpu().float() - on_cpu).abs().max() < 0.1 * on_cpu.abs().max()
