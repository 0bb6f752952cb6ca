"""The outside world: what reaches the servos, and what guards them."""
