"""Which of two is faster: interleaved passes, a ratio with an interval, layers side by side."""
