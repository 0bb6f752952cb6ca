"""The simulated person: muscles that pull a soft skin and make electricity at electrodes on it."""
