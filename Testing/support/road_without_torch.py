"""A road on a machine where PyTorch was never installed."""

raise ModuleNotFoundError("No module named 'torch'", name="torch")
