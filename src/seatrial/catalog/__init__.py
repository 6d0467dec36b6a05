"""Models and accelerators: data files, read into core types."""

from seatrial.catalog.accelerators import accelerator_names, load_accelerator, read_accelerator
from seatrial.catalog.hf_config import from_hf_config
from seatrial.catalog.models import ModelFacts, load_model, model_facts, model_names

__all__ = [
    "ModelFacts",
    "accelerator_names",
    "from_hf_config",
    "load_accelerator",
    "load_model",
    "model_facts",
    "model_names",
    "read_accelerator",
]
