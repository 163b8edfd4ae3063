"""The commands as Python functions, which do what the commands do and print nothing.

    import fusetrain
    run = fusetrain.train("demo/train.yaml", {"train.epochs": 3})

They run in this process; what a run has to say goes to its reporter. `val`, `predict` and the
detector itself are in `api.py`.
"""
