"""Models, accelerators, their operator curves, and engines: data files, read into core types."""

from seatrial.catalog.accelerators import accelerator_names, load_accelerator, read_accelerator
from seatrial.catalog.curves import load_curves, read_curves
from seatrial.catalog.engines import engine_names, load_engine, profile_name, read_engine
from seatrial.catalog.hf_config import from_hf_config
from seatrial.catalog.models import ModelFacts, load_model, model_facts, model_names

__all__ = [
    "ModelFacts",
    "accelerator_names",
    "engine_names",
    "from_hf_config",
    "load_accelerator",
    "load_curves",
    "load_engine",
    "load_model",
    "model_facts",
    "model_names",
    "profile_name",
    "read_accelerator",
    "read_curves",
    "read_engine",
]
