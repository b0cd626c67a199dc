from __future__ import annotations

import pytest
import torch

from vtg_cli.errors import UsageError
from vtg_cli.machine.device import choose_device, choose_dtype, seeded_noise


def test_noise_is_float32_cpu_noise_whatever_the_target() -> None:
    plain = torch.randn(2, 3, generator=torch.Generator().manual_seed(5))
    assert torch.equal(seeded_noise(5)(torch.empty(2, 3)), plain)
    low = seeded_noise(5)(torch.empty(2, 3, dtype=torch.bfloat16))
    assert torch.equal(low, plain.bfloat16())


def test_noise_does_not_touch_the_global_generator() -> None:
    before = torch.get_rng_state()
    seeded_noise(5)(torch.empty(4))
    assert torch.equal(before, torch.get_rng_state())


def test_precision_follows_the_device() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_dtype("auto", torch.device("cpu")) == torch.float32
    assert choose_dtype("auto", torch.device("cuda")) == torch.float16
    assert choose_dtype("bf16", torch.device("cpu")) == torch.bfloat16
    with pytest.raises(UsageError) as error:
        choose_dtype("int8", torch.device("cpu"))
    assert error.value.hint == "use auto, fp32, fp16, bf16"


def test_a_device_that_is_not_there_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError) as error:
        choose_device("mps")
    assert error.value.message == "--device mps: this torch or this machine has no MPS"
    assert error.value.hint == "use auto, cpu, cuda, cuda:N or mps" and error.value.exit_code == 2
