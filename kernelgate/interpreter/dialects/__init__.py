"""What each operation computes, a file for each group of them."""
