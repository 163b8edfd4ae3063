"""How public RGB-infrared data sets lie on disk, and how a folder of one is recognised."""
