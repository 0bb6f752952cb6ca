import numpy as np
import pytest

from duchenne.learning.forward_model import ForwardModel
from duchenne.sim.errors import InputError


def robot(commands: np.ndarray) -> np.ndarray:
    """A face whose landmarks move with single servos and with products of two."""
    moves = np.random.default_rng(1).normal(scale=1e-3, size=(3, 468, 3))
    return (
        commands[:, 0, None, None] * moves[0]
        + (commands[:, 3] * commands[:, 10])[:, None, None] * moves[1]
        + (commands[:, 5] ** 2)[:, None, None] * moves[2]
    )


def test_it_learns_interactions_of_servos(rng):
    train, test = rng.uniform(size=(400, 11)), rng.uniform(size=(50, 11))
    model = ForwardModel.fit(train, robot(train))
    error = model.predict(test) - robot(test)
    assert np.sqrt(np.mean(error**2)) < 0.01 * np.std(robot(test))


def test_one_command_or_many(rng):
    commands = rng.uniform(size=(200, 11))
    model = ForwardModel.fit(commands, robot(commands))
    assert model.predict(commands[0]).shape == (468, 3)
    np.testing.assert_allclose(model.predict(commands[:6].reshape(2, 3, 11))[1, 2], model.predict(commands[5]))


def test_bad_input_is_named(rng):
    commands = rng.uniform(size=(20, 11))
    with pytest.raises(InputError, match="20 commands for 19 faces"):
        ForwardModel.fit(commands, robot(commands)[1:])
    with pytest.raises(InputError, match="finite"):
        ForwardModel.fit(np.full((20, 11), np.nan), robot(commands))
    with pytest.raises(InputError, match="468"):
        ForwardModel.fit(commands, np.zeros((20, 113, 2)))
