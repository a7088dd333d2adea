import torch

from assistant.demo.adapter import Adapter
from assistant.demo.network import demo_config
from assistant.demo.train import new_network


def test_changes_nothing_until_it_has_learned_something() -> None:
    net, _ = new_network()
    weights = dict(net.decoder.named_parameters())
    for name, merged in Adapter(demo_config()).merged(net.decoder).items():
        assert torch.equal(merged, weights[name])


def test_names_its_factors_as_checkpoints_do() -> None:
    factors = Adapter(demo_config()).factors()
    assert factors["model.layers.0.mlp.down_proj.lora_A.weight"].shape == (8, 400)
    assert factors["model.layers.3.self_attn.o_proj.lora_B.weight"].shape == (160, 8)
