"""From files on disk to batches: pairing, index, decoding, augmentation, loading."""
