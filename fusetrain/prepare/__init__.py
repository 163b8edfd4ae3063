"""New data sets from old ones: rename, split, align, convert, cache; the source is never edited."""
