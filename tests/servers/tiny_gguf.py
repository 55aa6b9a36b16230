"""`tiny_gguf.py FILE`: create a language model of a few thousand random weights for llama.cpp.

Runs in the server's own environment. Its words are single bytes, and it writes as many as it may.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy

SIZE, FORWARD, HEADS, CONTEXT = 32, 64, 2, 8192
SPECIAL = {"<unk>": gguf.TokenType.UNKNOWN, "<s>": gguf.TokenType.CONTROL}
SPECIAL |= {"</s>": gguf.TokenType.CONTROL}
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "assistant: "
)


def create(path: Path) -> None:
    """Save tokenizer, parameters and weights."""
    writer = gguf.GGUFWriter(path, "llama")
    tokens = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(SIZE)
    writer.add_feed_forward_length(FORWARD)
    writer.add_block_count(1)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(SIZE // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([*SPECIAL.values(), *[gguf.TokenType.BYTE] * 256])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)
    for name, weights in _weights(len(tokens)):
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _weights(words: int) -> Iterator[tuple[str, Any]]:
    random = numpy.random.default_rng(1)
    shapes = {
        **dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (SIZE, SIZE)),
        **dict.fromkeys(("ffn_gate", "ffn_up"), (FORWARD, SIZE)),
        "ffn_down": (SIZE, FORWARD),
    }
    for name, shape in shapes.items():
        yield f"blk.0.{name}.weight", random.normal(0, 0.1, shape).astype(numpy.float32)
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        yield f"{name}.weight", numpy.ones(SIZE, numpy.float32)
    yield "token_embd.weight", random.normal(0, 1, (words, SIZE)).astype(numpy.float32)
    yield "output.weight", _output(random, words)


def _output(random: Any, words: int) -> Any:
    """Only letters and digits have a weight that is likely to be chosen."""
    weights = random.normal(0, 1, (words, SIZE)).astype(numpy.float32)
    for number in range(words):
        byte = number - len(SPECIAL)
        if byte < 0 or not chr(byte).isalnum() or byte >= 128:
            weights[number] *= 0.001
    return weights


if __name__ == "__main__":
    create(Path(sys.argv[1]))
