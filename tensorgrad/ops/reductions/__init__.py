"""Operations that take an axis together: sums, extrema, statistics, norms, scans."""
