"""What is stored of accepted kernels, and which kernels a candidate must beat."""
