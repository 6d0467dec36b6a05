"""The number formats of a checkpoint's parts, from the `quantization_config` of its config.json.

A method says how weights are stored; what it leaves alone is given by module names, which differ by family. So each part is known by the
names that its modules go by, and it counts as quantised if most of its modules are.
"""

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from seatrial.catalog.hf_keys import Keys
from seatrial.core.errors import CatalogError, nearest
from seatrial.core.model import FORMATS, FeedForward, Formats, Mixer, Mlp, Moe, NumberFormat

FormatOf = Callable[[str], NumberFormat | None]  # of a module by its name; None if it is left as it was

# float32 checkpoints are served in bfloat16, as vLLM does with `--dtype auto`.
COMPUTE = {"": "bf16", "bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "bf16", "float": "bf16"}

ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")


def read_formats(config: Keys | None, compute: NumberFormat, pairs: Sequence[tuple[Mixer | None, FeedForward | None]]) -> Formats:
    """Formats of each part of a model whose layers are `pairs`; the compute format where nothing is quantised."""
    if config is None:
        return Formats(compute, compute, compute, compute, compute, compute)
    format_of = method_of(config)
    modules = Modules.of(pairs)

    def majority(names: tuple[str, ...]) -> NumberFormat:
        found = [format_of(name) for name in names]
        return max(dict.fromkeys(found), key=found.count, default=None) or compute

    return Formats(
        attention=majority(modules.attention),
        mlp=majority(modules.mlp),
        experts=majority(modules.experts),
        embedding=compute,
        lm_head=majority(("lm_head",)),
        kv_cache=kv_cache_format(config) or compute,
    )


def compute_format(keys: Keys) -> NumberFormat:
    """The format in which a checkpoint is served where nothing is quantised."""
    dtype = keys.text("torch_dtype").removeprefix("torch.")
    if dtype not in COMPUTE:
        raise keys.wrong("torch_dtype", dtype, "one of bfloat16, float16, float32")
    return FORMATS[COMPUTE[dtype]]


class Modules(NamedTuple):
    """Names of the modules that hold a part's matrices."""

    attention: tuple[str, ...]
    mlp: tuple[str, ...]
    experts: tuple[str, ...]

    @classmethod
    def of(cls, pairs: Sequence[tuple[Mixer | None, FeedForward | None]]) -> "Modules":
        attention, mlp, experts = [], [], []
        for i, (mixer, block) in enumerate(pairs):
            layer = f"model.layers.{i}"
            if mixer is not None:
                attention += [f"{layer}.{name}" for name in ATTENTION]
            if isinstance(block, Mlp):
                mlp.append(f"{layer}.mlp.up_proj")
            elif isinstance(block, Moe):
                experts.append(f"{layer}.mlp.experts.0.up_proj")
                mlp += [f"{layer}.mlp.shared_experts.up_proj"] if block.shared_intermediate_size else []
        return cls(tuple(attention), tuple(mlp), tuple(experts))


# Methods


def method_of(config: Keys) -> FormatOf:
    """The reader for `quant_method`."""
    name = config.text("quant_method").lower().replace("_", "-")
    if name.startswith("modelopt") or "quant_algo" in config:
        name = "modelopt"
    if name not in METHODS:
        raise CatalogError(
            f"{config.place} has quant_method {config.text('quant_method')!r}; weights are read as {', '.join(METHODS)}: "
            f"{nearest(name, METHODS)}"
        )
    return METHODS[name](config)


def everywhere(config: Keys, weights: NumberFormat) -> FormatOf:
    """One format for all linear layers but those that are named as left alone, and the head."""
    left_alone = patterns(config, "modules_to_not_convert", "ignored_layers", "exclude_modules")
    head = config.flag("lm_head")
    return lambda name: None if left_alone.match(name) or (name == "lm_head" and not head) else weights


def fp8(config: Keys) -> FormatOf:
    return everywhere(config, fp8_format(config.integers("weight_block_size")))


def integers(config: Keys) -> FormatOf:
    """GPTQ, AWQ and AutoRound: 4 or 8 bits in groups, each with an fp16 scale and a packed zero point."""
    bits = config.maybe_integer("bits") or config.integer("w_bit", 4)
    return everywhere(config, integer_format(config, bits, config.integer("group_size", 128, least=-1), zero_point=True))


def mxfp4(config: Keys) -> FormatOf:
    """gpt-oss: the experts alone are in four bits, whatever else the list leaves out."""
    return lambda name: FORMATS["mxfp4"] if ".experts." in name else None


def bits_and_bytes(config: Keys) -> FormatOf:
    """NF4 has an fp32 scale per 64; with double quantisation these scales take a byte each (arXiv 2305.14314)."""
    if config.flag("load_in_8bit"):
        return everywhere(config, FORMATS["int8"])
    scale = (1 + 4 / 256) / 64 if config.flag("bnb_4bit_use_double_quant") else 4 / 64
    return everywhere(config, NumberFormat("int4", 0.5 + scale))


def modelopt(config: Keys) -> FormatOf:
    """NVIDIA's ModelOpt; older files keep its keys one level down, under `quantization`."""
    config = config.table("quantization") or config
    if "config_groups" in config and "quant_algo" not in config:
        return compressed_tensors(config)
    algorithm = config.text("quant_algo").upper()
    if algorithm not in MODELOPT:
        raise config.wrong("quant_algo", algorithm, "one of " + ", ".join(MODELOPT))
    left_alone = patterns(config, "exclude_modules", "ignore")
    return lambda name: None if left_alone.match(name) else FORMATS[MODELOPT[algorithm]]


MODELOPT = {"FP8": "fp8", "FP8_PB_WO": "fp8_block", "NVFP4": "nvfp4", "W4A16_AWQ": "int4", "INT4_AWQ": "int4"}


def compressed_tensors(config: Keys) -> FormatOf:
    """Groups of modules, each with its own scheme; the first that names a module has it."""
    left_alone = patterns(config, "ignore")
    groups = config.table("config_groups")
    schemes = [scheme for group in (groups.tables() if groups else ()) if (scheme := scheme_of(group)) is not None]
    if not schemes:
        raise config.wrong("config_groups", None, "a group with weights")

    def format_of(name: str) -> NumberFormat | None:
        if left_alone.match(name):
            return None
        return next((weights for targets, weights in schemes if targets.match(name)), None)

    return format_of


def scheme_of(group: Keys) -> "tuple[Patterns, NumberFormat] | None":
    if (weights := group.table("weights")) is None:
        return None
    bits, size = weights.integer("num_bits"), weights.integer("group_size", 0, least=-1)
    targets = patterns(group, "targets") if "targets" in group else Patterns(("Linear",))
    if weights.text("type", "int") == "float":
        if bits == 8:
            return targets, fp8_format(weights.integers("block_structure"))
        if bits == 4:
            return targets, FORMATS["mxfp4" if size == 32 else "nvfp4"]
    elif bits == 8 and group.table("input_activations") is not None:
        return targets, FORMATS["int8"]
    return targets, integer_format(weights, bits, size, zero_point=not weights.flag("symmetric", True))


METHODS: dict[str, Callable[[Keys], FormatOf]] = {
    "fp8": fp8,
    "fbgemm-fp8": fp8,
    "compressed-tensors": compressed_tensors,
    "modelopt": modelopt,
    "mxfp4": mxfp4,
    "gptq": integers,
    "gptq-marlin": integers,
    "awq": integers,
    "awq-marlin": integers,
    "auto-round": integers,
    "bitsandbytes": bits_and_bytes,
}


# Formats


def fp8_format(block: tuple[int, ...] | None) -> NumberFormat:
    """With an fp32 scale per block, if there are blocks; one per tensor or channel is nothing."""
    if not block:
        return FORMATS["fp8"]
    rows, columns = (*block, 1)[:2]
    return NumberFormat("fp8_block", 1.0 + 4 / (rows * columns))


def integer_format(config: Keys, bits: int, group_size: int, zero_point: bool) -> NumberFormat:
    """Whole numbers in groups; a group size of -1 or 0 means a scale per channel, which is next to nothing."""
    if bits not in (4, 8):
        raise config.wrong("bits", bits, "4 or 8")
    overhead = (2 + (bits / 8 if zero_point else 0)) / group_size if group_size > 0 else 0.0
    return NumberFormat("int4" if bits == 4 else "int8_weight", bits / 8 + overhead)


def kv_cache_format(config: Keys) -> NumberFormat | None:
    """The format that a checkpoint has scales for in its cache, if any."""
    inner = config.table("quantization") or config
    if inner.text("kv_cache_quant_algo").upper() == "FP8":
        return FORMATS["fp8"]
    if (scheme := config.table("kv_cache_scheme")) is None:
        return None
    if scheme.integer("num_bits") != 8:
        raise scheme.wrong("num_bits", scheme.integer("num_bits"), "8")
    return FORMATS["fp8" if scheme.text("type", "float") == "float" else "int8"]


def patterns(config: Keys, *keys: str) -> "Patterns":
    """The module names under all these keys."""
    words = [word for key in keys for word in config.words(key)]
    try:
        return Patterns(words)
    except re.error as problem:
        raise config.wrong(keys[0], problem.pattern, "a list of module names or regular expressions") from None


class Patterns:
    """Module names as quantisers write them: `re:` and a regular expression, shell wildcards, or dotted parts of the name."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self.plain = {stem(p) for p in patterns if not p.startswith("re:") and "*" not in p}
        self.shell = [stem(p) for p in patterns if not p.startswith("re:") and "*" in p]
        self.regular = [re.compile(p.removeprefix("re:")) for p in patterns if p.startswith("re:")]

    def match(self, name: str) -> bool:
        if "Linear" in self.plain or any(run in self.plain for run in runs(stem(name))):
            return True
        if any(fnmatchcase(stem(name), p) or fnmatchcase(stem(name), p + ".*") for p in self.shell):
            return True
        return any(p.match(spelled) for p in self.regular for spelled in (name, f"language_model.{name}"))


def stem(name: str) -> str:
    """Without what stands before the layers, which families call differently."""
    return name[name.index("layers.") :] if "layers." in name else name.removeprefix("model.")


def runs(name: str) -> list[str]:
    """All runs of consecutive dotted parts: `a.b` gives a, a.b, b."""
    words = name.split(".")
    return [".".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)]
