"""What the benchmark of the Simple API is made of."""
