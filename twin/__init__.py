"""What ties simulation to reality: retargeting, recordings, viewers."""
