"""Random numbers: one call of the generator per element, whatever it does inside."""

from __future__ import annotations

from tftrace.counts.registry import OpRecord, register_count
from tftrace.counts.work import Work


@register_count(
    "RandomUniform RandomUniformInt RandomStandardNormal TruncatedNormal Multinomial",
    "StatelessRandomUniformV2 StatelessRandomNormalV2 StatelessTruncatedNormalV2",
    "StatelessRandomUniform StatelessRandomNormal StatelessTruncatedNormal",
    "StatelessRandomUniformInt StatelessRandomUniformIntV2 StatelessMultinomial",
    "StatelessRandomUniformFullIntV2 StatelessRandomUniformFullInt",
    "RandomGamma StatelessRandomGammaV2 StatelessRandomGammaV3",
    "RandomPoisson RandomPoissonV2 StatelessRandomPoisson",
    "StatefulRandomBinomial StatelessRandomBinomial NonDeterministicInts",
    "StatefulUniform StatefulUniformInt StatefulUniformFullInt StatefulTruncatedNormal",
    "StatefulStandardNormal StatefulStandardNormalV2",
    "ParameterizedTruncatedNormal StatelessParameterizedTruncatedNormal",
)
def random_draw(record: OpRecord) -> Work:
    """One draw per output element, counted as one transcendental.

    Gamma, Poisson and binomial draw until one is accepted; each result is one draw all the same.
    """
    return Work.elementwise(record.out_size(), transc=1)


@register_count("XlaRngBitGenerator")
def random_bits(record: OpRecord) -> Work:
    """As the others; the first output is the generator's next state."""
    return Work.elementwise(record.out_size(1), transc=1)


@register_count("RandomShuffle StatelessShuffle RandomIndexShuffle RandomCrop")
def shuffled(record: OpRecord) -> Work:
    """Elements change places: no arithmetic on them."""
    return Work()


@register_count("RngReadAndSkip", "RngSkip")
def skipped(record: OpRecord) -> Work:
    """The generator's state moves on: a few integers."""
    return Work()
