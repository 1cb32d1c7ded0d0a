"""Dense linear algebra with a fixed number of steps; iterative methods are not countable."""

from __future__ import annotations

from tftrace.counts.registry import OpRecord, Uncountable, register_count
from tftrace.counts.work import Work


@register_count("MatrixTriangularSolve", "BatchMatrixTriangularSolve")
def triangular_solve(record: OpRecord) -> Work:
    """``(*B, n, n)``, ``(*B, n, k)``: ``n (n - 1) / 2`` macs and n divisions per column."""
    size = record.in_shape(0)[-1]
    columns = record.out_size() // size if size else 0
    macs = columns * (size * (size - 1) // 2)
    return Work(mults=macs + columns * size, macs=macs, flops=2 * macs + columns * size)


@register_count("Cholesky", "BatchCholesky")
def cholesky(record: OpRecord) -> Work:
    """``(*B, n, n)``: ``n (n^2 - 1) / 6`` macs, ``n (n - 1) / 2`` divisions, n square roots."""
    size = record.in_shape(0)[-1]
    batch = record.out_size() // (size * size) if size else 0
    macs, divisions = size * (size * size - 1) // 6, size * (size - 1) // 2
    return Work(
        mults=batch * (macs + divisions),
        macs=batch * macs,
        flops=batch * (2 * macs + divisions),
        transcendentals=batch * size,
    )


@register_count("Cross")
def cross(record: OpRecord) -> Work:
    """Vectors of three: six products and three differences each."""
    vectors = record.out_size() // 3
    return Work(mults=6 * vectors, flops=9 * vectors)


@register_count(
    "BatchSvd BatchSelfAdjointEig BatchSelfAdjointEigV2 BatchMatrixInverse BatchMatrixSolve",
    "BatchMatrixSolveLs BatchMatrixDeterminant MatrixLogarithm SelfAdjointEig TridiagonalSolve",
    "BandedTriangularSolve XlaSelfAdjointEig XlaSvd SparseMatrixSparseCholesky IFFTND RFFTND",
    "IRFFTND BatchFFT BatchFFT2D BatchFFT3D BatchIFFT BatchIFFT2D BatchIFFT3D",
    "Svd Qr Eig SelfAdjointEigV2 MatrixInverse MatrixSolve MatrixSolveLs Lu",
    "MatrixDeterminant LogMatrixDeterminant MatrixExponential MatrixSquareRoot",
    "FFT FFT2D FFT3D IFFT IFFT2D IFFT3D RFFT RFFT2D RFFT3D IRFFT IRFFT2D IRFFT3D FFTND",
)
def chosen_by_library(record: OpRecord) -> Work:
    """The library chooses the algorithm by size, or iterates until it converges."""
    raise Uncountable(f"{record.type}: the number of steps is the library's choice")
