"""Train object detectors on aligned RGB-infrared pairs.

Data goes one way: ``config -> index -> loader -> detector -> loss -> engine -> results``.

- `checks`: the validator of pairs            - `detector`: the dual-backbone fusion detector
- `engine`: training, resume, inference       - `schedule`: learning-rate curves
- `data`: files to batches                    - `loss`: assignment and losses
- `results`: metrics, run folder, figures     - `config`: typed settings
- `prepare`: new data sets from old ones    - `build`: turns a config into objects
- `cli`: the commands
"""

__version__ = "0.1.0"
