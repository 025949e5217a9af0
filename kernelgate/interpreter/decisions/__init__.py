"""Where a kernel decides by the values that it loads, and which sides of that programs have taken."""
