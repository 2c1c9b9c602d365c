"""A model of transformers in this process, on any device."""

from tracekd.generation.backends import Backend, Student


def make(student: Student) -> Backend:
    """Load the student; return packed decoding, or `generate` if the model does not allow that."""
    from tracekd.generation.decoding import PackedDecoder
    from tracekd.generation.packed import pack
    from tracekd.generation.plain import PlainDecoder

    model = student.load(student.device)
    if packed := pack(model):
        return PackedDecoder(packed, student.stops, student.examples, student.sampler)
    return PlainDecoder(model, student.stops, student.sampler)
