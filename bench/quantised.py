"""Quantised copies of GGUF files, for measurements of what a quantisation changes."""

import sys
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind

# 4.5 and 8.5 bits per weight, with their scales.
FOUR_BITS, EIGHT_BITS = Kind.Q4_0, Kind.Q8_0


def write_quantised(source: Path, target: Path, kind: Kind) -> None:
    """Copies the file and quantises every matrix, as llama.cpp's `llama-quantize --pure` does."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, arch=str(reader.fields["general.architecture"].contents()))
    for field in reader.fields.values():
        if not field.name.startswith(("GGUF.", "general.architecture")):
            kinds = field.types
            writer.add_key_value(field.name, field.contents(), kinds[0], kinds[-1] if len(kinds) > 1 else None)
    for tensor in reader.tensors:
        if len(tensor.shape) == 1:
            writer.add_tensor(tensor.name, tensor.data)
        else:
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
            writer.add_tensor(tensor.name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write_quantised(Path(sys.argv[1]), Path(sys.argv[2]), Kind[sys.argv[3]])
