"""Linear algebra: products, systems, factors, determinants."""
