"""A config.json as typed look-ups: each gives the value, or says in a sentence which key of which file lacks what."""

from collections.abc import Iterator, Mapping

from seatrial.core.errors import CatalogError

# One thing, several spellings: the first is today's, the others are those of older families.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "hidden_size": ("n_embed", "n_embd", "d_model"),
    "num_hidden_layers": ("n_layer", "num_layers", "n_layers"),
    "num_attention_heads": ("n_head", "num_heads", "n_heads"),
    "num_key_value_heads": ("num_kv_heads", "multi_query_group_num"),
    "intermediate_size": ("ffn_dim", "ffn_hidden_size", "n_inner"),
    "vocab_size": ("padded_vocab_size",),
    "max_position_embeddings": ("seq_length", "n_positions", "max_seq_len"),
    "head_dim": ("kv_channels", "attention_head_dim"),
    "num_experts": ("n_routed_experts", "num_local_experts"),
    "num_experts_per_tok": ("moe_top_k", "num_experts_per_token"),
    "torch_dtype": ("dtype",),
    "layer_types": ("layers_block_type",),
    "mamba_num_heads": ("mamba_n_heads",),
    "mamba_head_dim": ("mamba_d_head",),
    "mamba_n_groups": ("n_groups",),
    "mamba_d_state": ("ssm_state_size",),
    "mamba_d_conv": ("conv_kernel",),
    "mamba_conv_bias": ("use_conv_bias",),
    "shared_expert_intermediate_size": ("moe_shared_expert_intermediate_size", "shared_intermediate_size"),
}


class Keys:
    """Typed reading of `config`; `place` is how a person knows it. A key that is null counts as absent, and has no default.

    Whatever was looked up is remembered, so that a reader can ask what it has not understood.
    """

    def __init__(self, config: Mapping[str, object], place: str, defaults: Mapping[str, object] | None = None) -> None:
        self.place = place
        self._config = config
        self._defaults = defaults or {}
        self._seen: set[str] = set()

    def with_defaults(self, defaults: Mapping[str, object]) -> "Keys":
        return Keys(self._config, self.place, defaults)

    def __contains__(self, key: str) -> bool:
        return self._find(key)[1] is not None

    def integer(self, key: str, default: int | None = None, least: int = 1) -> int:
        value = self.maybe_integer(key, least)
        if value is None:
            value = default
        if value is None:
            raise CatalogError(f"{self.place} has no {key!r}; a whole number of at least {least} is needed there")
        return value

    def maybe_integer(self, key: str, least: int = 1) -> int | None:
        name, value = self._find(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1 or value < least:
            raise self.wrong(name, value, f"a whole number of at least {least}")
        return int(value)

    def flag(self, key: str, default: bool = False) -> bool:
        name, value = self._find(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(name, value, "true or false")
        return value

    def text(self, key: str, default: str = "") -> str:
        name, value = self._find(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong(name, value, "a word")
        return value

    def says(self, key: str, word: str) -> bool:
        """Whether the value is this word; anything else may stand there."""
        return self._find(key)[1] == word

    def words(self, key: str) -> tuple[str, ...]:
        """The list of strings at `key`, empty if absent."""
        name, value = self._find(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise self.wrong(name, value, "a list of words")
        return tuple(value)

    def integers(self, key: str) -> tuple[int, ...] | None:
        name, value = self._find(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(v, int) for v in value):
            raise self.wrong(name, value, "a list of whole numbers")
        return tuple(value)

    def table(self, key: str) -> "Keys | None":
        """The nested table at `key`; None if absent or empty."""
        name, value = self._find(key)
        if value is None or value == {}:
            return None
        if not isinstance(value, dict):
            raise self.wrong(name, value, "a table of keys")
        return Keys(value, f"{self.place}, {name}")

    def tables(self) -> "Iterator[Keys]":
        """Each value in turn, which must be a table."""
        for name in self._config:
            if (table := self.table(name)) is not None:
                yield table

    def unseen(self) -> list[str]:
        """Keys with a value that nobody has asked for."""
        return sorted(key for key, value in self._config.items() if key not in self._seen and value not in (None, False, {}, []))

    def wrong(self, key: str, value: object, needed: str) -> CatalogError:
        """A sentence about a value that is there but of no use."""
        shown = repr(value)
        return CatalogError(f"{self.place} has {key} = {shown if len(shown) <= 60 else shown[:57] + '...'}; {needed} is needed there")

    def _find(self, key: str) -> tuple[str, object]:
        for name in (key, *SPELLINGS.get(key, ())):
            self._seen.add(name)
            if (value := self._config.get(name)) is not None:
                return name, value
        return key, None if key in self._config else self._defaults.get(key)
