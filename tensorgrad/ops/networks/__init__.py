"""Operations of neural networks: activations, normalised exponentials, losses."""
