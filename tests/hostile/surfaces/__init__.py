"""Every kind of input that a stranger may hand to edgeq: a surface each."""

from tests.hostile.oracle import Surface
from tests.hostile.surfaces import archives, imports, lines, meters, own_forms, records, texts

SURFACES: dict[str, Surface] = {
    surface.name: surface
    for surface in (
        *archives.SURFACES,
        *imports.SURFACES,
        *own_forms.SURFACES,
        *records.SURFACES,
        *texts.SURFACES,
        *lines.SURFACES,
        *meters.SURFACES,
    )
}
