"""One definition per instruction, grouped as the ARM ARM groups them."""
