"""Where a kernel decides by the values that it loads, and which sides of each decision programs have taken."""
