"""The robot face: mechanism, servos, limits, simulation and pictures."""
