"""Makes a data set for Minari of this folder, for `minari.load_dataset(NAME)`:

    pip install "minari[hdf5]" pillow
    python to_minari.py planner/jackal-v0
"""

import json
import pathlib
import sys

import gymnasium
import minari
import numpy

FOLDER = pathlib.Path(__file__).parent
INFOS = ['policy_actions', 'noise', 'parameters', 'velocities', 'stamps']


def buffer(episode):
    arrays = numpy.load(FOLDER / f"episode_{episode['id']}.npz")
    # One observation more than actions: Minari wants an info for each observation, so the last is repeated.
    infos = {name: numpy.concatenate([arrays[name], arrays[name][-1:]]) for name in INFOS}
    return minari.data_collector.EpisodeBuffer(
        id=episode['id'], observations=arrays['observations'], actions=arrays['actions'],
        rewards=arrays['rewards'], terminations=arrays['terminations'], truncations=arrays['truncations'],
        infos=infos)


def main():
    metadata = json.loads((FOLDER / 'metadata.json').read_text())
    observations = gymnasium.spaces.Box(-numpy.inf, numpy.inf, metadata['observation_space']['shape'], numpy.float32)
    actions = gymnasium.spaces.Box(-1.0, 1.0, metadata['action_space']['shape'], numpy.float32)
    minari.create_dataset_from_buffers(
        dataset_id=sys.argv[1], buffer=[buffer(episode) for episode in metadata['episodes']],
        observation_space=observations, action_space=actions, algorithm_name='TD3',
        code_permalink=metadata['code_permalink'], description=f"{metadata['planner']}: {metadata['parameters']}")


if __name__ == '__main__':
    main()
