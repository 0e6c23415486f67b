"""One thread: the tests share a small machine, and results do not depend on its cores."""

import torch

torch.set_num_threads(1)
