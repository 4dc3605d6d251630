"""The whole engine under every fault, from a seed: the same seed gives the same run, step by step."""
