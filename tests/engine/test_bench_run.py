import pytest

from assistant.engine.bench_run import Settings, measure_machine, ratios, run

TINY = Settings(random="tiny", threads=1, num_output=2, repeats=1, sessions=(1, 2))


def test_ratios_say_how_many_times_faster_ours_is() -> None:
    figures = {
        "generate_first_token_ms": 100.0,
        "generate_per_token_ms": 10.0,
        "first_token_cold_ms": 50.0,
        "first_token_image_early_ms": 5.0,
        "per_token_ms": 4.0,
        "step_of_1_ms": 4.0,
        "step_of_2_ms": 5.0,
    }
    assert ratios(figures, TINY) == {
        "ratio_cold": 2.0,
        "ratio_image_early": 20.0,
        "ratio_per_token": 2.5,
        "ratio_throughput_of_1": 2.5,
        "ratio_throughput_of_2": 4.0,
    }


@pytest.mark.parity
def test_a_run_has_the_bounds_of_the_machine_our_times_and_the_baselines() -> None:
    machine = measure_machine(TINY)
    assert machine["decoder_parameters"] == 310_944
    assert machine["float32_bound_ms_per_token"] > 0
    figures = run(TINY)
    assert figures["per_token_ms"] > 0
    assert figures["first_token_turn_10_ms"] > 0
    assert figures["ratio_throughput_of_2"] > 0
